"""The approvers' page in a real Chromium: from the link to executed, by mouse, by keyboard, on a phone."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from gate_bench import PEOPLE
from page_bench import serve_bound_page, serve_page

from narrowgate.approvals import State
from rehearsal import openid
from rehearsal.browser import HOW, browser_environment, find_browser
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench
    from page_bench import Served
    from playwright.sync_api import Browser, Page

BROWSER = find_browser()
pytestmark = [pytest.mark.long, pytest.mark.skipif(BROWSER is None, reason=f"There is no Chromium: {HOW}.")]
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1, "has_touch": True}
DESK: dict[str, Any] = {"viewport": {"width": 960, "height": 1000}}
IMAGES = CHECKOUT / "docs" / "images"


@pytest.fixture(scope="module")
def page(bench: GateBench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve_page(bench, tmp_path_factory.mktemp("page")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    assert BROWSER is not None
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--headless"]  # the tests' own pages, and perhaps as root
        browser = playwright.chromium.launch(
            executable_path=str(BROWSER), args=flags, env=dict(browser_environment(BROWSER))
        )
        yield browser
        browser.close()


class Window:
    """One person's window; `noise` is what the browser complained of."""

    def __init__(self, chromium: Browser, served: Served, **options: Any) -> None:  # noqa: ANN401 - Playwright's
        self.context = chromium.new_context(**options)
        self.page: Page = self.context.new_page()
        self.url = served.url
        self.noise: list[str] = []
        self.page.on("console", lambda message: self.noise.append(message.text))
        self.page.on("dialog", lambda dialog: self.noise.append(f"dialog {dialog.message}"))
        self.page.on("pageerror", lambda error: self.noise.append(str(error)))

    def follow(self, bench: GateBench, user: str, request: str) -> None:
        """Follow the link to a case, and log in."""
        self.page.goto(f"{self.url}/cases/{request}")
        self.page.get_by_label("Your token of the identity provider").fill(bench.sign(user, "approvers", *PEOPLE[user]))
        self.page.keyboard.press("Enter")
        self.page.get_by_role("button", name="Approve").wait_for()


@pytest.fixture(scope="module")
def bound(bench: GateBench) -> Iterator[Served]:
    with serve_bound_page(bench) as served:
        yield served


def make_case(bench: GateBench, name: str, **changed: object) -> str:
    request = bench.draft(name, **changed)  # type: ignore[arg-type]
    bench.executor().work()
    return request


def state(bench: GateBench, request: str) -> State:
    with bench.approver("carl") as carl:
        return carl.read_case(request).state


@pytest.mark.parametrize(("options", "image"), [(DESK, "desk"), (PHONE, "phone")], ids=["desk", "phone"])
def test_one_press_after_the_login_and_it_is_executed(  # noqa: PLR0913, PLR0917 - fixtures
    bench: GateBench,
    page: Served,
    chromium: Browser,
    options: dict[str, Any],
    image: str,
    pytestconfig: pytest.Config,
) -> None:
    rationale = "Its register extract and tax certificate are valid until 2027.\nThe first order waits for it."
    request = make_case(bench, f"Aurora Papers {image.title()} Oy", rationale=rationale)
    window = Window(chromium, page, **options)
    window.follow(bench, "ann", request)
    shot(window, pytestconfig, f"approvals-{image}.png")
    width = window.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]
    for name in ("Approve", "Deny"):
        box = window.page.get_by_role("button", name=name).bounding_box()
        assert box is not None
        assert 0 <= box["y"] <= options["viewport"]["height"] - box["height"]  # in sight without scrolling
        assert box["height"] >= 44  # a finger's width
    window.page.get_by_role("button", name="Approve").click()
    window.page.get_by_text("approved, waits for the executor").wait_for()
    working = threading.Thread(target=bench.executor().work)
    working.start()
    window.page.locator(".state.executed").wait_for(timeout=60_000)  # by itself: no key is pressed
    working.join()
    assert bench.vendors(f"Aurora Papers {image.title()} Oy") == [("FI", "active")]
    if image == "desk":
        shot(window, pytestconfig, "approvals-executed.png")
    assert not window.noise
    window.context.close()


def test_from_the_link_to_approved_by_a_login_at_the_provider(
    bench: GateBench, bound: Served, chromium: Browser
) -> None:
    request = make_case(bench, "Linked Oy")
    window = Window(chromium, bound, **DESK)
    choose_person(window, bench, "ann", request)
    window.page.get_by_role("button", name="Approve").click()  # the one press after the login
    window.page.get_by_text("approved, waits for the executor").wait_for()
    assert window.page.url == f"{bound.url}/cases/{request}"
    bench.executor().work()
    window.page.locator(".state.executed").wait_for()
    assert bench.vendors("Linked Oy") == [("FI", "active")]
    assert not window.noise
    window.context.close()


def test_who_is_no_approver_gets_in_nowhere(bench: GateBench, bound: Served, chromium: Browser) -> None:
    request = make_case(bench, "Unseen Oy")
    window = Window(chromium, bound, **DESK)
    choose_person(window, bench, "mallory", request)
    window.page.get_by_text("login-refused").wait_for()
    for path in (f"/cases/{request}", "/"):
        window.page.goto(f"{bound.url}{path}")
        window.page.get_by_role("link", name="Log in with your identity provider").wait_for()
        assert "Unseen Oy" not in window.page.content()
        assert window.page.get_by_role("button", name="Approve").count() == 0
    assert state(bench, request) is State.WAITING
    window.context.close()


def choose_person(window: Window, bench: GateBench, user: str, request: str) -> None:
    """Follow the link to a case, and press a name at the identity provider."""
    window.page.goto(f"{window.url}/cases/{request}")
    window.page.get_by_role("link", name="Log in with your identity provider").click()
    window.page.wait_for_url(f"{openid.get_address(bench.live.layout)}/authorize?**")
    window.page.get_by_role("button", name=user).click()


def test_by_the_keyboard_alone(bench: GateBench, page: Served, chromium: Browser) -> None:
    request = make_case(bench, "Keyboard Oy")
    window = Window(chromium, page, **DESK)
    window.follow(bench, "ann", request)
    reason = window.page.get_by_label("Reason")
    for _ in range(12):
        window.page.keyboard.press("Tab")
        if reason.evaluate("element => element === document.activeElement"):
            break
    window.page.keyboard.press("Control+A")
    window.page.keyboard.type("Papers checked by hand.")
    window.page.keyboard.press("Enter")  # decides nothing: it is not clear what it should
    window.page.wait_for_timeout(500)
    assert state(bench, request) is State.WAITING
    window.page.keyboard.press("Tab")
    window.page.keyboard.press("Enter")
    window.page.get_by_text("approved, waits for the executor").wait_for()
    assert state(bench, request) is State.APPROVED
    assert not window.noise
    window.context.close()


def test_what_others_decide_shows_while_one_types(bench: GateBench, page: Served, chromium: Browser) -> None:
    request = make_case(bench, "Typed Oy")
    window = Window(chromium, page, **DESK)
    window.follow(bench, "ann", request)
    reason = window.page.get_by_label("Reason")
    reason.fill("Half a sen")
    window.page.evaluate("window.stayed = true")
    for _ in range(2):
        with window.page.expect_response(lambda answer: answer.request.headers.get("hx-request") == "true"):
            pass
    assert reason.input_value() == "Half a sen"
    assert window.page.evaluate("window.stayed")
    bench.deny("bob", request)
    window.page.locator(".state.denied").wait_for()
    window.page.get_by_role("button", name="Approve").wait_for(state="detached")
    window.page.get_by_text("bob: No.").wait_for()
    window.page.get_by_role("link", name="Approvals").click()
    stop = window.page.get_by_label("Why?")
    window.page.get_by_text("Emergency stop").click()
    stop.fill("Only typed")
    other = make_case(bench, "Listed Oy")
    window.page.locator(f'a[href="/cases/{other}"]').wait_for()
    assert stop.input_value() == "Only typed"
    assert not window.noise
    window.context.close()


def test_it_needs_no_script_and_runs_no_words_of_an_agent(bench: GateBench, page: Served, chromium: Browser) -> None:
    words = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>"
    request = make_case(bench, f"{words} Oy", rationale=words)
    scripted = Window(chromium, page, **DESK)
    scripted.follow(bench, "ann", request)
    assert scripted.page.get_by_text("<script>alert(1)</script>").count() > 0
    assert scripted.page.locator("main script, main img, main svg").count() == 0
    assert not scripted.noise
    scripted.context.close()
    plain = Window(chromium, page, java_script_enabled=False, **DESK)
    plain.follow(bench, "ann", request)
    plain.page.get_by_label("Reason").fill("Nonsense.")
    plain.page.get_by_role("button", name="Deny").click()
    plain.page.locator(".state.denied").wait_for()
    plain.context.close()


def test_a_foreign_page_can_neither_frame_it_nor_send_its_forms(
    bench: GateBench, page: Served, chromium: Browser, tmp_path: Path
) -> None:
    request = make_case(bench, "Framed Oy")
    window = Window(chromium, page, **DESK)
    window.follow(bench, "ann", request)
    digest = window.page.locator("input[name=digest]").first.input_value()
    evil = tmp_path / "evil.html"
    evil.write_text(
        f'<iframe src="{page.url}/cases/{request}"></iframe><form method="post" action="{page.url}/cases/{request}">'
        f'<input name="digest" value="{digest}"><input name="verdict" value="approve"><input name="reason" value="x">'
        "<button>Win a prize</button></form>"
    )
    window.page.goto(evil.as_uri())
    frame = window.page.frames[-1]
    assert frame.get_by_role("button", name="Approve").count() == 0
    window.page.get_by_role("button", name="Win a prize").click()
    window.page.wait_for_load_state()
    assert window.page.get_by_role("button", name="Approve").count() == 0
    assert state(bench, request) is State.WAITING
    window.context.close()


def shot(window: Window, config: pytest.Config, name: str) -> None:
    """Write the picture that the docs show, where golden files are written."""
    if config.getoption("--update-golden"):
        IMAGES.mkdir(exist_ok=True)
        window.page.screenshot(path=str(IMAGES / name))
