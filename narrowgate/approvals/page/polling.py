"""What a page asks again by itself, through htmx: the same pages, of which it takes what changes.

Everything works without a script too. This module must not answer anything that a person could not ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from narrowgate.approvals.page.logins import choose_next

if TYPE_CHECKING:
    from starlette.requests import Request


def is_polled(request: Request) -> bool:
    """Return whether the page asked by itself: nobody has read what is answered."""
    return request.headers.get("hx-request") == "true"


def ask_for_login(request: Request) -> Response:
    """Return what leads to the login and back; a poll is told to take the whole page there."""
    address = f"/login?next={choose_next(request.url.path)}"
    if is_polled(request):
        return Response(headers={"HX-Redirect": address})
    return RedirectResponse(address, status_code=303)
