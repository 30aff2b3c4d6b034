"""Logging in to the page by OpenID Connect through Vault, with a real provider's answers and a browser's cookies."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from openid_provider import CLIENT, Provider
from page_bench import choose_port, serve_page

from rehearsal import idp, stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench
    from page_bench import Served


@pytest.fixture(scope="module")
def provider(bench: GateBench) -> Iterator[Provider]:
    made = Provider()
    made.secret = idp.ensure_client_secret(bench.live.layout).read_text()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(bench: GateBench, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Bind the page in the environment, deploy it, and serve it; take it out again afterwards."""
    port = choose_port()
    bindings = bench.live.layout.stacks / "Pulumi.dev.yaml"
    before, known = bindings.read_text(), bench.document
    line = f"page: {{url: 'http://127.0.0.1:{port}', client_id: {CLIENT}, discovery_url: '{provider.url}'}}"
    bindings.write_text(before.replace("    approvals:\n", f"    approvals:\n      {line}\n"))
    bench.document = deploy(bench)
    with serve_page(bench, tmp_path_factory.mktemp("page"), port=port) as served:
        yield served
    bindings.write_text(before)
    bench.document = deploy(bench)
    assert bench.document == known


def deploy(bench: GateBench) -> dict[str, Any]:
    """Deploy what is declared now, and return the gate's description."""
    layout = bench.live.layout
    stack.write_project(layout)
    stack.deploy(layout, layout.foundation_stack)
    stack.deploy(layout, layout.stack)
    stack.write_manifests(layout)
    return dict(json.loads(layout.gate.read_text()))


def test_the_deployed_login_is_for_the_page_alone(bench: GateBench, page: Served) -> None:
    role = bench.root.read("auth/approvers/role/approver-page")["data"]
    twin = bench.root.read(f"auth/approvers/role/{bench.gate.approvers.role}")["data"]
    assert (role["role_type"], role["allowed_redirect_uris"]) == ("oidc", [f"{page.url}/oidc/callback"])
    same = ("bound_claims", "groups_claim", "token_policies", "token_no_default_policy", "token_max_ttl", "user_claim")
    assert {name: role[name] for name in same} == {name: twin[name] for name in same}
    answer = bench.root.read("auth/approvers/config")["data"]
    assert (answer["oidc_client_id"], answer["jwt_validation_pubkeys"]) == (CLIENT, [])


def test_another_address_begins_no_login(bench: GateBench, page: Served) -> None:
    # Of a loopback address the server passes over the port, as RFC 8252 wants it
    for address in (
        f"{page.url}/oidc/callback/",
        f"{page.url}/",
        "https://127.0.0.1/oidc/callback",
        "https://evil.example.com/oidc/callback",
    ):
        body = {"role": "approver-page", "redirect_uri": address}
        assert bench.root.write_data("auth/approvers/oidc/auth_url", data=body)["data"]["auth_url"] == ""


def test_the_clients_secret_stands_nowhere_in_the_clear(bench: GateBench, provider: Provider, page: Served) -> None:
    assert page.url
    layout = bench.live.layout
    files = [file for folder in (layout.pulumi_state, layout.project) for file in folder.rglob("*") if file.is_file()]
    assert any("approver-page" in file.read_text(errors="replace") for file in files)
    assert not [file for file in files if provider.secret in file.read_text(errors="replace")]


def test_what_is_deployed_is_no_drift_and_what_is_changed_by_hand_is(bench: GateBench, page: Served) -> None:
    assert page.url
    assert not drift(bench)
    path = "auth/approvers/role/approver-page"
    role = bench.root.read(path)["data"]
    bench.root.write_data(path, data={**role, "allowed_redirect_uris": ["https://evil.example.com/oidc/callback"]})
    assert "allowed_redirect_uris" in drift(bench)
    bench.root.write_data(path, data=role)


def drift(bench: GateBench) -> str:
    """Return what stands at the approvers' mount and is not as declared."""
    layout = bench.live.layout
    command = [str(layout.venv / "bin" / "narrowgate"), "access", "drift", "--env", "dev"]
    where = ["--stacks", str(layout.stacks), "--config-dir", str(layout.project)]
    done = subprocess.run([*command, *where], env=bench.live.environment(), capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return "\n".join(line for line in done.stdout.splitlines() if "approver" in line)


def test_the_provider_sends_them_back_to_where_they_were_going(
    bench: GateBench, provider: Provider, page: Served
) -> None:
    provider.user, provider.groups = "ann", ["vendor-approvers"]
    browser = page.browser()
    assert "/login/oidc?next=/" in browser.open("/").text
    shown = browser.open("/login/oidc?next=/")
    assert (shown.url, "<span>ann</span>" in shown.text) == (f"{page.url}/", True)
    assert bench.gate.environment in shown.text


def test_the_answer_of_another_browsers_login_is_refused(provider: Provider, page: Served) -> None:
    provider.user, provider.groups = "bob", ["vendor-approvers"]
    attacker, victim = page.browser(), page.browser()
    begun = attacker.open("/login/oidc?next=/", allow_redirects=False)
    back = attacker.get(begun.headers["location"], allow_redirects=False, timeout=30).headers["location"]
    parts = urlsplit(back)
    answer = victim.open(f"{parts.path}?{parts.query}", allow_redirects=False)
    assert (answer.status_code, "was not begun in this browser" in answer.text) == (401, True)
    victim.open("/login/oidc?next=/", allow_redirects=False)
    answer = victim.open(f"{parts.path}?{parts.query}", allow_redirects=False)
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)
    state = parse_qs(parts.query)["state"][0]
    assert state not in answer.text


def test_an_answer_serves_once(provider: Provider, page: Served) -> None:
    provider.user, provider.groups = "ann", ["vendor-approvers"]
    browser = page.browser()
    begun = browser.open("/login/oidc?next=/", allow_redirects=False)
    cookie = browser.cookies.get_dict()
    back = urlsplit(browser.get(begun.headers["location"], allow_redirects=False, timeout=30).headers["location"])
    assert browser.open(f"{back.path}?{back.query}", allow_redirects=False).status_code == 303
    again = page.browser()
    again.cookies.update(cookie)
    assert again.open(f"{back.path}?{back.query}", allow_redirects=False).status_code == 401


def test_who_is_in_no_approvers_group_is_not_let_in(provider: Provider, page: Served) -> None:
    provider.user, provider.groups = "mallory", ["interns"]
    answer = page.browser().open("/login/oidc?next=/")
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)


def test_no_token_is_taken_where_people_log_in_by_the_provider(bench: GateBench, page: Served) -> None:
    answer = page.browser().log_in(bench, "ann")
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)


def test_nothing_secret_of_a_login_is_logged(provider: Provider, page: Served) -> None:
    for secret in (provider.secret, "code=", "state=", "eyJ"):
        assert secret not in page.log
