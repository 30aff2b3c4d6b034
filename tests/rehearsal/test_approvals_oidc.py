"""Logging in to the page by OpenID Connect through Vault, with a real provider's answers and a browser's cookies."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from page_bench import serve_bound_page

from rehearsal import idp, openid
from rehearsal.openid_provider import derive_challenge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench
    from page_bench import Served


@pytest.fixture(scope="module")
def page(bench: GateBench) -> Iterator[Served]:
    with serve_bound_page(bench) as served:
        yield served


def test_the_deployed_login_is_for_the_page_alone(bench: GateBench, page: Served) -> None:
    role = bench.root.read("auth/approvers/role/approver-page")["data"]
    twin = bench.root.read(f"auth/approvers/role/{bench.gate.approvers.role}")["data"]
    assert (role["role_type"], role["allowed_redirect_uris"]) == ("oidc", [f"{page.url}/oidc/callback"])
    same = ("bound_claims", "groups_claim", "token_policies", "token_no_default_policy", "token_max_ttl", "user_claim")
    assert {name: role[name] for name in same} == {name: twin[name] for name in same}
    answer = bench.root.read("auth/approvers/config")["data"]
    assert (answer["oidc_client_id"], answer["jwt_validation_pubkeys"]) == (openid.CLIENT, [])


def test_its_address_stays_while_it_is_served(bench: GateBench, page: Served) -> None:
    assert not openid.start_provider(bench.live.layout)
    assert openid.get_page_address(bench.live.layout) == page.url


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


def test_the_clients_secret_stands_nowhere_in_the_clear(bench: GateBench) -> None:
    layout = bench.live.layout
    secret = idp.ensure_client_secret(layout).read_text()
    files = [file for folder in (layout.pulumi_state, layout.project) for file in folder.rglob("*") if file.is_file()]
    assert any("approver-page" in file.read_text(errors="replace") for file in files)
    assert not [file for file in files if secret in file.read_text(errors="replace")]


def test_what_is_deployed_is_no_drift_and_what_is_changed_by_hand_is(bench: GateBench) -> None:
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


def test_the_provider_sends_them_back_to_where_they_were_going(bench: GateBench, page: Served) -> None:
    request = bench.draft("Linked Oy")
    bench.executor().work()
    browser = page.browser()
    assert f"/login/oidc?next=/cases/{request}" in browser.open(f"/cases/{request}").text
    shown = browser.choose_person("ann", f"/cases/{request}")
    assert (shown.url, "<span>ann</span>" in shown.text) == (f"{page.url}/cases/{request}", True)
    assert "approved" in browser.decide(request, "approve").text
    bench.executor().work()
    assert bench.vendors("Linked Oy") == [("FI", "active")]


def test_the_answer_of_another_browsers_login_is_refused(page: Served) -> None:
    attacker, victim = page.browser(), page.browser()
    parts = urlsplit(attacker.choose_person("carl", follow=False).headers["location"])
    answer = victim.open(f"{parts.path}?{parts.query}", allow_redirects=False)
    assert (answer.status_code, "was not begun in this browser" in answer.text) == (401, True)
    victim.open("/login/oidc?next=/", allow_redirects=False)
    answer = victim.open(f"{parts.path}?{parts.query}", allow_redirects=False)
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)
    state = parse_qs(parts.query)["state"][0]
    assert state not in answer.text


def test_an_answer_serves_once(page: Served) -> None:
    browser = page.browser()
    back = urlsplit(browser.choose_person("ann", follow=False).headers["location"])
    cookie = browser.cookies.get_dict()
    assert browser.open(f"{back.path}?{back.query}", allow_redirects=False).status_code == 303
    again = page.browser()
    again.cookies.update(cookie)
    assert again.open(f"{back.path}?{back.query}", allow_redirects=False).status_code == 401


@pytest.mark.parametrize("user", ["mallory", "olivia", "vera"])
def test_who_is_in_no_approvers_group_is_not_let_in(page: Served, user: str) -> None:
    browser = page.browser()
    answer = browser.choose_person(user)
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)
    assert "/login/oidc" in browser.open("/").text


def test_the_provider_sends_nobody_elsewhere(bench: GateBench, page: Served) -> None:
    address = f"{openid.get_address(bench.live.layout)}/authorize"
    asked = {**begin(bench, page), "state": "s"}
    assert ask("GET", f"{address}?{urlencode(asked)}").status_code == 200
    for changed in (
        {"redirect_uri": "https://evil.example.com/oidc/callback"},
        {"redirect_uri": f"{page.url}/"},
        {"client_id": "another"},
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
    ):
        query = urlencode({**asked, **changed})
        assert ask("GET", f"{address}?{query}").status_code == 400
        assert ask("POST", f"{address}?{query}", {"user": "ann"}).status_code == 400
    assert ask("POST", f"{address}?{urlencode(asked)}", {"user": "nobody"}).status_code == 400


def test_the_provider_gives_a_token_to_who_began_the_login_and_knows_the_secret(bench: GateBench, page: Served) -> None:
    layout = bench.live.layout
    secret = idp.ensure_client_secret(layout).read_text()
    right = {"code_verifier": "v" * 43, "redirect_uri": f"{page.url}/oidc/callback"}
    asked = {**begin(bench, page), "code_challenge": derive_challenge(right["code_verifier"])}

    def fetch(known: str = secret, **changed: str) -> int:
        answer = ask("POST", f"{openid.get_address(layout)}/authorize?{urlencode(asked)}", {"user": "ann"})
        code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
        form = {"code": code, **right, **changed}
        return ask("POST", f"{openid.get_address(layout)}/token", form, (openid.CLIENT, known)).status_code

    assert fetch() == 200
    assert fetch("another") == 400
    assert fetch(code="another") == 400
    assert fetch(code_verifier="w" * 43) == 400
    assert fetch(redirect_uri=f"{page.url}/") == 400


def begin(bench: GateBench, page: Served) -> dict[str, str]:
    """Return what Vault has a browser ask the provider."""
    body = {"role": "approver-page", "redirect_uri": f"{page.url}/oidc/callback"}
    address = bench.root.write_data("auth/approvers/oidc/auth_url", data=body)["data"]["auth_url"]
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def ask(
    method: str, url: str, form: dict[str, str] | None = None, client: tuple[str, str] | None = None
) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, data=form, auth=client, allow_redirects=False, timeout=30)


def test_no_token_is_taken_where_people_log_in_by_the_provider(bench: GateBench, page: Served) -> None:
    answer = page.browser().log_in(bench, "ann")
    assert (answer.status_code, "login-refused" in answer.text) == (401, True)


def test_nothing_secret_of_a_login_is_logged(bench: GateBench, page: Served) -> None:
    layout = bench.live.layout
    provider = layout.log(layout.part(openid.NAME)).read_text()
    assert "POST /token 200" in provider
    for secret in (idp.ensure_client_secret(layout).read_text(), "code=", "state=", "eyJ"):
        assert secret not in page.log
        assert secret not in provider
