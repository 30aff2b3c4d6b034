"""Logging in to the page by OpenID Connect through Vault, with a real provider's answers and a browser's cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from openid_provider import CLIENT, Provider
from page_bench import serve_page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench
    from page_bench import Served

ROLE = "approver-oidc"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    made = Provider()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(bench: GateBench, provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the page with the approvers' mount set to OpenID Connect, and set it back afterwards."""
    before = bench.root.read("auth/approvers/config")["data"]
    with serve_page(bench, tmp_path_factory.mktemp("page"), "--oidc-role", ROLE) as served:
        config = {
            "oidc_discovery_url": provider.url,
            "oidc_client_id": CLIENT,
            "oidc_client_secret": "the-clients-secret",
            "default_role": "",
            "jwt_supported_algs": ["ES256"],
        }
        bench.root.write_data("auth/approvers/config", data=config)
        bench.root.write_data(f"auth/approvers/role/{ROLE}", data=make_role(bench, f"{served.url}/oidc/callback"))
        yield served
    trust = {name: before[name] for name in ("bound_issuer", "jwt_supported_algs", "jwt_validation_pubkeys")}
    empty = dict.fromkeys(("oidc_discovery_url", "oidc_client_id", "oidc_client_secret"), "")
    bench.root.write_data("auth/approvers/config", data={**empty, **trust})


def make_role(bench: GateBench, callback: str) -> dict[str, Any]:
    """Return the deployed role's twin, as an administrator makes it for OpenID Connect."""
    known = bench.root.read(f"auth/approvers/role/{bench.gate.approvers.role}")["data"]
    same = ("bound_claims", "groups_claim", "token_no_default_policy", "token_policies", "token_ttl", "user_claim")
    return {
        **{name: known[name] for name in same},
        "role_type": "oidc",
        "user_claim_json_pointer": True,
        "allowed_redirect_uris": [callback],
    }


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


def test_nothing_secret_of_a_login_is_logged(page: Served) -> None:
    for secret in ("the-clients-secret", "code=", "state=", "eyJ"):
        assert secret not in page.log
