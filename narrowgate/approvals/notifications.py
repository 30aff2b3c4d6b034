"""Tells people that a case waits for them: what kind of action, for whom, until when, and a link. Nothing to press.

A message leaves the house: it holds no inputs, no target, no rationale, and no way to decide; whoever follows the link
must log in. That a message is lost loses nothing: `narrowgate approvals list` and the page show every open case.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog

from narrowgate.approvals.errors import SettingsError
from narrowgate.approvals.present import tell_deciders
from narrowgate.approvals.text import show

if TYPE_CHECKING:
    from pathlib import Path

    import apprise

    from narrowgate.approvals.case import Case

logger = structlog.get_logger("narrowgate.approvals")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Notifier:
    """Sends messages one after the other, beside whoever asks for them; `page` is the origin of the approvers' page."""

    def __init__(self, places: apprise.Apprise, page: str) -> None:
        self._places = places
        self._page = page.rstrip("/")
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="narrowgate-notify")

    def announce(self, case: Case) -> None:
        """Have a message sent about a new case; that it cannot be sent is logged, and no more."""
        self._worker.submit(self._send, case.request, f"Approval needed: {show(case.name)}", self.compose(case))

    def compose(self, case: Case) -> str:
        """Return a message's text."""
        return (
            f"For {show(case.requester.name)}, by the agent of {show(case.workflow)} in {show(case.environment)}.\n"
            f"Decided by {tell_deciders(case.factors)}, until {show(case.expires_at)}.\n"
            f"Read it and decide: {self._page}/cases/{case.request}"
        )

    def close(self) -> None:
        """Send what is being sent, and forget the rest."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _send(self, request: str, title: str, body: str) -> None:
        from apprise import NotifyFormat

        try:
            sent = self._places.notify(title=title, body=body, body_format=NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 - a message's trouble is nobody else's
            logger.warning("case.not-announced", request=request, code=type(error).__name__)
            return
        if not sent:
            logger.warning("case.not-announced", request=request, code="not-sent")


def read_notifier(file: Path, page: str | None) -> Notifier:
    """Return what sends to the apprise addresses in `file`, one a line; `#` begins a comment.

    Raises SettingsError where it cannot be read, or a line is no address; no message holds a line, which has secrets.
    """
    try:
        import apprise
    except ImportError:
        raise SettingsError("apprise is not installed.", hint="Install narrowgate[approvals].") from None

    parts = urlsplit(page or "")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SettingsError(
            "Messages need the page's address.", hint="Give --page, as in https://approvals.example.com."
        )
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"The file {file} cannot be read ({type(error).__name__}).", hint="") from None
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its own lines hold the addresses, and so their secrets
    places = apprise.Apprise()
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text and not text.startswith("#") and not places.add(text):
            hint = "As in slack://…, msteams://…, mailtos://… or jsons://…; see apprise's own pages."
            raise SettingsError(f"{file}:{number}: that is no address that apprise knows.", hint=hint)
    return Notifier(places, str(page))
