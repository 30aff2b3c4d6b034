"""What stands around every page: headers against frames and foreign scripts, one host, forms that only it sends.

Sources: OWASP's cheat sheets on CSRF, CSP and sessions; Fetch metadata (W3C).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

from narrowgate.approvals.errors import ApprovalsError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from narrowgate.approvals.page.sessions import WebSession

MAX_FORM_BYTES: Final = 65_536
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
SECURE_HEADERS: Final = {"Strict-Transport-Security": "max-age=31536000"}


class ForgedError(ApprovalsError):
    """A form that this page did not send, or not to this person."""

    code = "form-refused"
    hint = "Open the case again and decide there."


class Guard:
    """Answers for one `origin` only, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, *, origin: str) -> None:
        self._app = app
        self._host = urlsplit(origin).netloc
        self._headers = HEADERS | (SECURE_HEADERS if origin.startswith("https:") else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; one for another host is refused, so that no foreign name resolves to this page."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        app: ASGIApp = self._app
        if Headers(scope=scope).get("host") != self._host:
            app = PlainTextResponse("This is another host's page.", status_code=421)
        await app(scope, receive, send_guarded)


async def read_form(request: Request, origin: str) -> dict[str, str]:
    """Return the fields of a form that was sent from this page.

    Raises ForgedError for one from elsewhere, one that is too long, and one that is no form.
    """
    if request.headers.get("origin") != origin or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise ForgedError("The form was not sent from this page.")
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise ForgedError("That is no form.")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MAX_FORM_BYTES:
            raise ForgedError("The form is too long.")
    try:
        fields = parse_qs(content.decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError:
        raise ForgedError("The form cannot be read.") from None
    return {name: values[0] for name, values in fields.items()}


def check_csrf(session: WebSession, form: dict[str, str]) -> None:
    """Raise ForgedError unless the form carries this session's token."""
    if not secrets.compare_digest(session.csrf.encode(), form.get("csrf", "").encode()):
        raise ForgedError("The form is none of this session's.")
