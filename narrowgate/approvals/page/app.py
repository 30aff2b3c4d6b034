"""The pages themselves: a list, one screen for a case, a login. Every answer is made here, whole, on the server."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from narrowgate.approvals.case import OPEN
from narrowgate.approvals.decide import Approver
from narrowgate.approvals.errors import (
    ApprovalsError,
    DecidedError,
    LoginError,
    NotAllowedError,
    NotFoundError,
    NotShownError,
    VaultDownError,
    VaultRefusedError,
)
from narrowgate.approvals.page.guard import ForgedError, Guard, check_csrf, read_form
from narrowgate.approvals.page.logins import PENDING_SECONDS, OidcLogins, choose_next
from narrowgate.approvals.page.polling import ask_for_login, is_polled
from narrowgate.approvals.page.sessions import Sessions, WebSession
from narrowgate.approvals.present import present
from narrowgate.approvals.text import show
from narrowgate.approvals.vault import Vault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from starlette.requests import Request

    from narrowgate.approvals.decide import CaseView
    from narrowgate.approvals.settings import Gate

logger = structlog.get_logger("narrowgate.approvals.page")
HERE: Final = Path(__file__).parent
READ: Final = "I have read the case."
STATUS: Final[dict[type[ApprovalsError], int]] = {
    ForgedError: 403,
    NotAllowedError: 403,
    NotFoundError: 404,
    NotShownError: 409,
    DecidedError: 409,
    LoginError: 401,
    VaultDownError: 503,
}


@dataclass
class Page:
    """One gate's page at one `origin`; `verify` is what Vault's certificate is checked with."""

    gate: Gate
    origin: str
    verify: str | bool
    oidc_role: str | None = None
    sessions: Sessions = field(default_factory=Sessions)

    def __post_init__(self) -> None:
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates = environment
        self._style = (HERE / "style.css").read_text(encoding="utf-8")
        self._script = (HERE / "htmx.min.js").read_text(encoding="utf-8")
        self._oidc = OidcLogins(self.gate, self.oidc_role, f"{self.origin}/oidc/callback") if self.oidc_role else None
        secure = self.origin.startswith("https:")
        # The prefix has browsers take the cookie from this host alone, over TLS.
        self._cookie, self._login_cookie = (
            ("__Host-narrowgate", "__Host-narrowgate-login") if secure else ("narrowgate", "narrowgate-login")
        )
        self._flags: dict[str, Any] = {"httponly": True, "secure": secure, "path": "/"}

    def build(self) -> Starlette:
        """Return the application."""
        routes = [
            Route("/", self._with_session(self._list), methods=["GET"]),
            Route("/cases/{request}", self._with_session(self._show), methods=["GET"]),
            Route("/cases/{request}", self._with_session(self._decide), methods=["POST"]),
            Route("/stop", self._with_session(self._stop), methods=["POST"]),
            Route("/logout", self._with_session(self._log_out), methods=["POST"]),
            Route("/login", self._caught(self._show_login), methods=["GET"]),
            Route("/login", self._caught(self._log_in), methods=["POST"]),
            Route("/login/oidc", self._caught(self._begin_oidc), methods=["GET"]),
            Route("/oidc/callback", self._caught(self._finish_oidc), methods=["GET"]),
            Route("/style.css", self._send_style, methods=["GET"]),
            Route("/htmx.js", self._send_script, methods=["GET"]),
            Route("/healthz", self._health, methods=["GET"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, origin=self.origin)],
            lifespan=self._live,
        )

    @contextlib.asynccontextmanager
    async def _live(self, _: Starlette) -> AsyncIterator[None]:
        """Revoke every session's token when the server ends."""
        yield
        for session in self.sessions.close_all():
            await run_in_threadpool(self._revoke, session.token)

    # -- what stands around a page

    def _with_session(self, page: Callable[[Request, WebSession], Awaitable[Response]]) -> Any:  # noqa: ANN401 - Starlette's endpoint
        async def answer(request: Request) -> Response:
            session = self.sessions.find(request.cookies.get(self._cookie))
            if session is None:
                # A link in a message is a foreign site's: browsers keep our cookie back once, and send it when we ask.
                if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
                    return self._render("again.html", address=choose_next(request.url.path))
                return ask_for_login(request)
            try:
                return await page(request, session)
            except VaultRefusedError:
                self.sessions.close(request.cookies.get(self._cookie))
                return ask_for_login(request)

        return self._caught(answer)

    def _caught(self, page: Callable[[Request], Awaitable[Response]]) -> Any:  # noqa: ANN401 - Starlette's endpoint
        async def answer(request: Request) -> Response:
            try:
                return await page(request)
            except ApprovalsError as error:
                status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 400)
                words = {"words": show(str(error)), "hint": show(error.hint or ""), "code": error.code}
                return self._render("error.html", status=status, **words)

        return answer

    def _render(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:  # noqa: ANN401 - a template's
        text = self._templates.get_template(template).render(environment=show(self.gate.environment), **values)
        return HTMLResponse(text, status_code=status)

    def _vault(self, token: str = "") -> Vault:
        return Vault(self.gate.address, namespace=self.gate.namespace, verify=self.verify, token=token)

    def _revoke(self, token: str) -> None:
        with self._vault(token) as vault, contextlib.suppress(ApprovalsError):
            vault.revoke_self()

    @contextlib.contextmanager
    def _approver(self, session: WebSession) -> Iterator[Approver]:
        with self._vault(session.token) as vault:
            approver = Approver(self.gate, vault)
            approver.who()  # the token is asked each time: one that was revoked opens nothing here
            yield approver

    # -- pages

    async def _list(self, _: Request, session: WebSession) -> Response:
        def read() -> dict[str, Any]:
            with self._approver(session) as approver:
                views = approver.list_cases()
                stops = [(show(p.name), show(s.at), show(s.reason)) for p, s in approver.list_stops()]
                return {"cases": [present(view) for view in views], "stops": stops, "altered": approver.altered}

        return self._render("list.html", person=session.person, csrf=session.csrf, **await run_in_threadpool(read))

    async def _show(self, request: Request, session: WebSession) -> Response:
        view = await self._read_case(session, request.path_params["request"])
        again = "again" in request.query_params
        if not is_polled(request):
            return self._render_case(session, view, again=again)
        answer = self._render_case(session, view, again=again, seen=False)
        if view.state not in OPEN:
            answer.headers["HX-Refresh"] = "true"  # it is over: no buttons any more
        return answer

    async def _show_again(self, session: WebSession, name: str, notice: str, status: int) -> Response:
        return self._render_case(session, await self._read_case(session, name), notice=notice, status=status)

    async def _read_case(self, session: WebSession, name: str) -> CaseView:
        def read() -> CaseView:
            with self._approver(session) as approver:
                return approver.read_case(name)

        return await run_in_threadpool(read)

    def _render_case(
        self,
        session: WebSession,
        view: CaseView,
        *,
        again: bool = False,
        seen: bool = True,
        **more: Any,  # noqa: ANN401 - a template's
    ) -> Response:
        if seen:
            session.note(view.case.request, view.digest, view.read_at)
        shown = present(view)
        # An approval may be given again, where it stands in the records and perhaps not yet in Vault.
        given = any(decision.name == session.person for decision in shown.decisions)
        form = not shown.refusal and (again or not given)
        values = {"case": shown, "read": READ, "notice": "", "csrf": session.csrf, "form": form, **more}
        return self._render("case.html", person=session.person, **values)

    async def _decide(self, request: Request, session: WebSession) -> Response:
        form = await read_form(request, self.origin)
        check_csrf(session, form)
        name, verdict = request.path_params["request"], form.get("verdict")
        digest, seen_at = session.seen.get(name, ("", ""))
        if not digest or digest != form.get("digest"):
            return await self._show_again(session, name, "Nothing was decided: read the case, then decide.", 409)
        if verdict not in {"approve", "deny"}:
            raise ForgedError("The form says neither approve nor deny.")
        reason = form.get("reason", "").strip()
        if not reason or (verdict == "deny" and reason == READ):
            return await self._show_again(session, name, "Nothing was decided: give a reason.", 400)

        def decide() -> None:
            with self._approver(session) as approver:
                act = approver.approve if verdict == "approve" else approver.deny
                act(name, digest=digest, reason=reason, seen_at=seen_at)

        await run_in_threadpool(decide)
        logger.info("page.decided", request=name, verdict=verdict, person=session.person)
        return RedirectResponse(f"/cases/{name}", status_code=303)

    async def _stop(self, request: Request, session: WebSession) -> Response:
        form = await read_form(request, self.origin)
        check_csrf(session, form)

        def stop() -> None:
            with self._approver(session) as approver:
                approver.stop_all(form.get("reason", ""))

        await run_in_threadpool(stop)
        logger.warning("page.stopped", person=session.person)
        return RedirectResponse("/", status_code=303)

    async def _log_out(self, request: Request, session: WebSession) -> Response:
        check_csrf(session, await read_form(request, self.origin))
        self.sessions.close(request.cookies.get(self._cookie))
        await run_in_threadpool(self._revoke, session.token)
        answer = RedirectResponse("/login", status_code=303)
        answer.delete_cookie(self._cookie, samesite="strict", **self._flags)
        return answer

    # -- logins

    async def _show_login(self, request: Request) -> Response:
        wanted = choose_next(request.query_params.get("next"))
        return self._render("login.html", next=wanted, oidc=self._oidc is not None)

    async def _log_in(self, request: Request) -> Response:
        form = await read_form(request, self.origin)
        if self._oidc is not None:
            raise LoginError("People log in by the identity provider here.", hint="Open /login.")
        place, jwt = self.gate.approvers, form.get("token", "").strip()
        with self._vault() as vault:
            await run_in_threadpool(lambda: vault.log_in(place.mount, place.role, jwt))
        return await self._enter(vault.token, choose_next(form.get("next")))

    async def _begin_oidc(self, request: Request) -> Response:
        if self._oidc is None:
            raise NotFoundError("There is no such login here.")
        wanted = request.query_params.get("next") or "/"
        with self._vault() as vault:
            address, name = await run_in_threadpool(partial(self._oidc.begin, vault, wanted))
        answer = RedirectResponse(address, status_code=303)
        # The identity provider sends the browser back from another site: a strict cookie would not come along.
        answer.set_cookie(self._login_cookie, name, max_age=PENDING_SECONDS, samesite="lax", **self._flags)
        return answer

    async def _finish_oidc(self, request: Request) -> Response:
        if self._oidc is None:
            raise NotFoundError("There is no such login here.")
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        name = request.cookies.get(self._login_cookie)
        with self._vault() as vault:
            token, wanted = await run_in_threadpool(partial(self._oidc.finish, vault, name, state, code))
        answer = await self._enter(token, wanted)
        answer.delete_cookie(self._login_cookie, samesite="lax", **self._flags)
        return answer

    async def _enter(self, token: str, wanted: str) -> Response:
        """Open a session for a Vault token, which must be an approver's; a new name each time."""
        try:
            with self._vault(token) as vault:
                who = await run_in_threadpool(lambda: Approver(self.gate, vault).who())
        except ApprovalsError:
            await run_in_threadpool(self._revoke, token)
            raise
        name = self.sessions.open(token, show(who.person.name), who.seconds_left)
        logger.info("page.login", person=who.person.name)
        answer = RedirectResponse(wanted, status_code=303)
        answer.set_cookie(self._cookie, name, samesite="strict", **self._flags)
        return answer

    async def _send_style(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css")

    async def _send_script(self, _: Request) -> Response:
        return Response(self._script, media_type="text/javascript")

    async def _health(self, _: Request) -> Response:
        return PlainTextResponse("ok")
