"""The approvers' page by plain HTTP, against the real servers: what it does, and what nobody gets it to do."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from gate_bench import PEOPLE
from gate_cli import environment, run
from page_bench import hidden, serve_page

from narrowgate.approvals import State
from narrowgate.approvals.page import app
from narrowgate.approvals.page.logins import choose_next

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench
    from page_bench import Browser, Served

TEMPLATES = Path(app.__file__).parent / "templates"
# of htmx 2.0.11, as its npm package carries it
SHA384 = "2OatzQy1H+Zd/IIrjr1TcuDGqLXeHhbooAyJY1KdQMKnr4LZ22k31GBLdYKHmVjg"
SCRIPT = f'<script src="/htmx.js" integrity="sha384-{SHA384}" defer></script>'


@pytest.fixture(scope="module")
def page(bench: GateBench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_page(bench, tmp_path_factory.mktemp("page")) as served:
        yield served


@pytest.fixture
def ann(bench: GateBench, page: Served) -> Browser:
    browser = page.browser()
    assert browser.log_in(bench, "ann").status_code == 200
    return browser


def make_case(bench: GateBench, name: str, **changed: object) -> str:
    request = bench.draft(name, **changed)  # type: ignore[arg-type]
    bench.executor().work()
    return request


def state(bench: GateBench, request: str) -> State:
    with bench.approver("carl") as carl:
        return carl.read_case(request).state


def test_from_the_link_to_executed(bench: GateBench, page: Served) -> None:
    request = make_case(bench, "Willemite Oy")
    browser = page.browser()
    login = browser.open(f"/cases/{request}")
    assert login.url.endswith(f"/login?next=/cases/{request}")
    shown = browser.log_in(bench, "ann", f"/cases/{request}")
    assert shown.url.endswith(f"/cases/{request}")
    for words in (
        "vendors.create",
        "vera",
        "vendor-onboarding",
        "Its papers are complete.",
        "FI00 1234",
        "1 of vendor",
    ):
        assert words in shown.text
    done = browser.submit(f"/cases/{request}", verdict="approve", reason="Papers checked.", **hidden(shown.text))
    assert "approved, waits for the executor" in done.text
    bench.executor().work()
    assert "as the case said" in browser.open(f"/cases/{request}").text
    assert bench.vendors("Willemite Oy") == [("FI", "active")]
    (approver,) = bench.record(request)["approvers"]
    assert (approver["name"], approver["reason"]) == ("ann", "Papers checked.")
    assert approver["seen_at"] <= approver["decided_at"]


def test_a_denial_needs_a_reason_of_ones_own(bench: GateBench, ann: Browser) -> None:
    request = make_case(bench, "Xenotime Oy")
    assert ann.decide(request, "deny", "I have read the case.").status_code == 400
    assert ann.decide(request, "deny", " ").status_code == 400
    assert state(bench, request) is State.WAITING
    assert "denied" in ann.decide(request, "deny", "Unknown company.").text
    assert state(bench, request) is State.DENIED


def test_without_a_session_nothing_is_shown_or_done(bench: GateBench, page: Served) -> None:
    request = make_case(bench, "Yttrium Oy")
    stranger = page.browser()
    for answer in (
        stranger.open("/", allow_redirects=False),
        stranger.open(f"/cases/{request}", allow_redirects=False),
        stranger.submit(f"/cases/{request}", follow=False, verdict="approve", reason="x", csrf="", digest=""),
        stranger.submit("/stop", follow=False, reason="x", csrf=""),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login?next=/")
    assert state(bench, request) is State.WAITING


@pytest.mark.parametrize(
    "forged", ["no token", "another session's", "no origin", "foreign origin", "cross-site", "json"]
)
def test_a_form_that_this_page_did_not_send_decides_nothing(
    bench: GateBench, page: Served, ann: Browser, forged: str
) -> None:
    request = make_case(bench, f"Forged {forged} Oy")
    fields = {"verdict": "approve", "reason": "x", **hidden(ann.open(f"/cases/{request}").text)}
    headers = {"Origin": page.url, "Sec-Fetch-Site": "same-origin"}
    if forged == "no token":
        del fields["csrf"]
    if forged == "another session's":
        other = page.browser()
        other.log_in(bench, "bob")
        fields["csrf"] = hidden(other.open(f"/cases/{request}").text)["csrf"]
    if forged == "no origin":
        del headers["Origin"]
    if forged == "foreign origin":
        headers["Origin"] = "https://evil.test"
    if forged == "cross-site":
        headers["Sec-Fetch-Site"] = "cross-site"
    body = {"json": fields} if forged == "json" else {"data": fields}
    answer = ann.post(f"{page.url}/cases/{request}", headers=headers, timeout=30, **body)  # type: ignore[arg-type]
    assert (answer.status_code, "form-refused" in answer.text) == (403, True)
    assert state(bench, request) is State.WAITING


def test_only_what_was_shown_here_can_be_decided(bench: GateBench, page: Served, ann: Browser) -> None:
    request, other = make_case(bench, "Shown Here Oy"), make_case(bench, "Not Shown Oy")
    fields = hidden(ann.open(f"/cases/{request}").text)
    unseen = ann.submit(f"/cases/{other}", verdict="approve", reason="x", **fields)
    assert (unseen.status_code, "read the case, then decide" in unseen.text) == (409, True)
    fields["digest"] = "sha256:" + "0" * 64
    assert ann.submit(f"/cases/{request}", verdict="approve", reason="x", **fields).status_code == 409
    assert {state(bench, request), state(bench, other)} == {State.WAITING}
    assert page.process.poll() is None


def test_who_may_not_decide_has_no_buttons_and_is_refused(bench: GateBench, page: Served) -> None:
    request = make_case(bench, "Own Case Oy")
    for user, words in (("vera", "on whose behalf it was drafted"), ("carl", "none of the groups")):
        browser = page.browser()
        browser.log_in(bench, user)
        shown = browser.open(f"/cases/{request}").text
        assert words in html.unescape(shown)
        assert 'name="verdict"' not in shown
        digest = re.search(r"<code>(sha256:\w+)</code>", shown)
        assert digest is not None
        forced = {**hidden(shown), "digest": digest[1]}
        refused = browser.submit(f"/cases/{request}", verdict="approve", reason="x", **forced)
        assert (refused.status_code, "not-an-approver" in refused.text) == (403, True)
    assert state(bench, request) is State.WAITING


def test_what_an_agent_writes_is_text(bench: GateBench, ann: Browser) -> None:
    words = "<script>alert(1)</script><img src=x onerror=alert(1)> \u202egnp.exe\u200b {{ 7*7 }}"
    request = make_case(bench, '"><script>alert(2)</script>', rationale=words)
    for path in (f"/cases/{request}", "/"):
        shown = ann.open(path).text
        assert "<script" not in shown.replace(SCRIPT, "")
        assert "<img" not in shown
        assert "\u202e" not in shown
    shown = ann.open(f"/cases/{request}").text
    assert html.escape("<script>alert(1)</script>", quote=False) in shown
    assert "\\u{202e}gnp.exe\\u{200b} {{ 7*7 }}" in shown
    assert "rationale: 2 hidden or control characters" in shown


def test_every_answer_forbids_foreign_scripts_frames_and_caching(bench: GateBench, page: Served, ann: Browser) -> None:
    request = make_case(bench, "Zircon Oy")
    answers = [
        ann.open("/"),
        ann.open(f"/cases/{request}"),
        ann.open("/cases/nonsense"),
        ann.open("/none"),
        ann.open("/style.css"),
        ann.open("/htmx.js"),
        page.browser().open("/", allow_redirects=False),
        page.browser().open("/login"),
        page.browser().get(f"{page.url}/", headers={"Host": "evil.test"}, timeout=30),
    ]
    for answer in answers:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "server" not in answer.headers
    assert answers[-1].status_code == 421


def test_the_only_script_is_the_one_that_was_pinned() -> None:
    content = (TEMPLATES.parent / "htmx.min.js").read_bytes()
    pinned = base64.b64encode(hashlib.sha384(content).digest()).decode()
    assert pinned == SHA384
    assert (TEMPLATES / "base.html").read_text(encoding="utf-8").count(SCRIPT) == 1
    assert not [path for path in TEMPLATES.parent.rglob("*.js") if path.name != "htmx.min.js"]


def test_a_page_that_asks_by_itself_is_told_when_it_is_over(bench: GateBench, page: Served, ann: Browser) -> None:
    request = make_case(bench, "Poll Oy")
    polled = {"headers": {"HX-Request": "true"}}
    first = ann.open(f"/cases/{request}", **polled)
    assert "HX-Refresh" not in first.headers
    unread = ann.submit(f"/cases/{request}", verdict="approve", reason="x", **hidden(first.text))
    assert unread.status_code == 409  # what a page asked for by itself, nobody has read
    assert state(bench, request) is State.WAITING
    bench.deny("bob", request)
    assert ann.open(f"/cases/{request}", **polled).headers["HX-Refresh"] == "true"
    answer = page.browser().open(f"/cases/{request}", allow_redirects=False, **polled)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, f"/login?next=/cases/{request}")
    assert not answer.text


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_no_template_needs_what_the_policy_forbids(template: Path) -> None:
    text = template.read_text(encoding="utf-8").replace(SCRIPT, "")
    assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|\|\s*safe|autoescape", text)


def test_the_cookie_is_for_this_page_alone_and_no_page_holds_the_vault_token(bench: GateBench, page: Served) -> None:
    browser = page.browser()
    answer = browser.submit("/login", follow=False, token=bench.sign("ann", "approvers", *PEOPLE["ann"]), next="/")
    cookie = answer.headers["Set-Cookie"].lower()
    assert all(flag in cookie for flag in ("httponly", "samesite=strict", "path=/"))
    assert "domain=" not in cookie
    assert not re.search(r"hvs\.|s\.\w{20}", answer.headers["Set-Cookie"] + browser.open("/").text)


def test_logging_out_ends_the_session_and_the_vault_token(bench: GateBench, page: Served) -> None:
    browser = page.browser()
    before = tokens(bench)
    csrf = hidden(browser.log_in(bench, "ann").text)["csrf"]
    (made,) = tokens(bench) - before
    cookies = browser.cookies.get_dict()
    assert browser.submit("/logout", csrf=csrf).url.endswith("/login")
    assert made not in tokens(bench)
    stolen = page.browser()
    stolen.cookies.update(cookies)
    assert stolen.open("/", allow_redirects=False).status_code == 303


def tokens(bench: GateBench) -> set[str]:
    return set(bench.root.list("auth/token/accessors")["data"]["keys"])


def test_a_token_that_is_revoked_elsewhere_opens_nothing(bench: GateBench, page: Served) -> None:
    browser = page.browser()
    before = tokens(bench)
    browser.log_in(bench, "ann")
    (made,) = tokens(bench) - before
    bench.root.write_data("auth/token/revoke-accessor", data={"accessor": made})
    assert browser.open("/", allow_redirects=False).headers["location"].startswith("/login")


def test_nobody_but_approvers_logs_in(bench: GateBench, page: Served) -> None:
    agent = bench.agent_token("vera")
    for token in (agent, "", "nonsense", bench.sign("mallory", "approvers"), "x" * 70_000):
        answer = page.browser().submit("/login", token=token, next="/")
        assert answer.status_code in {401, 403}, token[:20]
        assert agent not in answer.text


def test_a_link_in_a_message_asks_the_browser_for_its_cookie_once(bench: GateBench, page: Served, ann: Browser) -> None:
    request = make_case(bench, "Linked Oy")
    followed = page.browser().open(f"/cases/{request}", headers={"Sec-Fetch-Site": "cross-site"})
    assert f'content="0; url=/cases/{request}"' in followed.text
    assert "Linked Oy" in ann.open(f"/cases/{request}").text


def test_where_to_go_after_the_login_is_ours() -> None:
    assert choose_next("/cases/vendor-onboarding.abc") == "/cases/vendor-onboarding.abc"
    for wanted in (
        None,
        "",
        "//evil.test",
        "https://evil.test",
        "/cases/../x",
        "/cases/a\r\nX: y",
        "/\\evil.test",
        "/x",
    ):
        assert choose_next(wanted) == "/"


def test_an_emergency_stop_by_the_page(bench: GateBench, page: Served) -> None:
    from test_approvals_cli import end_stops

    browser = page.browser()
    csrf = hidden(browser.log_in(bench, "dora").text)["csrf"]
    try:
        assert "The gate was stopped by dora" in browser.submit("/stop", csrf=csrf, reason="Drill.").text
    finally:
        end_stops(bench)


def test_its_end_revokes_every_session(bench: GateBench, tmp_path: Path) -> None:
    with serve_page(bench, tmp_path) as served:
        before = tokens(bench)
        served.browser().log_in(bench, "ann")
        (made,) = tokens(bench) - before
        served.end()
        assert made not in tokens(bench)
    assert "eyJ" not in served.log
    assert "Traceback" not in served.log


def test_sessions_never_travel_in_the_clear(bench: GateBench, tmp_path: Path) -> None:
    env = environment(bench, tmp_path, "ann")
    for options in (("--host", "0.0.0.0"), ("--url", "http://approvals.test"), ("--url", "https://a.test/path")):  # noqa: S104
        done = run(env, "approvals", "serve", *options)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
