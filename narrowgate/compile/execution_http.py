"""`http`: one request to the service behind a bearer tool, with a token that is signed for this action alone.

This module must not send anything.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, JsonValue

from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.backends.bearer import BearerGrant
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.execution import DeclaredExecution, Path, Reversible, Scalar, is_reference
from narrowgate.compile.expressions import check_changes, check_expressions
from narrowgate.compile.problems import Problem
from narrowgate.plan import ClaimGrant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from narrowgate.compile.backends.backend import DeclaredGrant
    from narrowgate.plan import ActionAccess

Segments = list[str | int]

_DIGEST: Final = "${digest}"
_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}")
_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
# What may stand in a header: it is ASCII, whoever approved.
_HEADER_REFERENCES: Final = frozenset({_DIGEST, "${request}"})
# Set by whoever sends the request, or about how it travels.
_OWN_HEADERS: Final = frozenset(
    {
        "accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "cookie",
        "expect", "host", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class HttpRead(Declared):
    """What is read of the target by GET, with a token that says it is for reading only."""

    path: Segments = Field(min_length=1)
    """The address below `url`, a segment each."""
    fields: dict[str, str] = Field(min_length=1)
    """What of the answer is shown and looked at again: a name and a JMESPath expression for each."""


class HttpExecution(DeclaredExecution):
    """One request to the service; it carries the digest, by which the service refuses a second one."""

    handler: Literal["http"]
    """How it is carried out."""
    url: str
    """The service's address, mostly `${binding.url}`: https, or a loopback."""
    method: Literal["DELETE", "PATCH", "POST", "PUT"]
    """The request's method."""
    path: Segments = Field(min_length=1)
    """The address below `url`: a segment each, encoded whole, so that no input leaves its place."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Further headers: literal, `${digest}` or `${request}`."""
    body: JsonValue = None
    """What is sent, as JSON."""
    read: HttpRead | None = None
    """What is read of its target; without it, approvers see only what will be sent."""
    changes: dict[str, Scalar | None] = Field(default_factory=dict)
    """What the fields will be; `null` for what will be gone."""
    result: dict[str, str] = Field(default_factory=dict)
    """What is kept of the answer: a name and a JMESPath expression for each. Nothing else of it is."""
    reversible: Reversible
    """Whether and how it can be undone, in words, for approvers."""

    def check(self) -> Iterator[Problem]:
        """Yield an address, a path, a header or an expression that is none, and a missing digest."""
        if not is_reference(self.url) and (wrong := find_wrong_url(self.url)):
            yield Problem(("url",), "bad-format", wrong, "write ${binding.url}, and bind it in each environment")
        yield from _check_segments(self.path, ("path",))
        for name, value in self.headers.items():
            yield from _check_header(name, value)
        if _count(self.headers) + _count(self.body) != 1:
            message = "exactly one header, or value of the body, must be `${digest}`"
            hint = "the service keeps it, as of `Idempotency-Key`, and refuses a second request with it"
            yield Problem((), "missing-digest", message, hint)
        yield from check_expressions(self.result, ("result",))
        if self.read is not None:
            yield from _check_segments(self.read.path, ("read", "path"))
            yield from check_expressions(self.read.fields, ("read", "fields"))
            yield from check_changes(self.changes, self.read.fields)

    def check_grants(self, grants: Sequence[DeclaredGrant]) -> Iterator[Problem]:
        """Yield where the action grants anything but a token for one audience."""
        if len(grants) != 1 or not isinstance(grants[0], BearerGrant):
            yield Problem((), "bad-value", "its action must grant one audience, and nothing else")

    def check_call(self, call: Mapping[str, Any]) -> None:
        """Raise `PlaceError` where the service's address is none over which a bearer may travel."""
        if wrong := find_wrong_url(str(call["url"])):
            raise PlaceError(wrong, reference=self.url, hint="bind the service's https address")

    def early(self) -> Mapping[str, Any]:
        """Return where it goes, what is read, and what will be of it."""
        read = {} if self.read is None else {"path": list(self.read.path)}
        return {"url": self.url, "path": list(self.path), "read": read, "changes": dict(self.changes)}


def find_wrong_url(url: str) -> str | None:
    """Return what is wrong with a service's address, if anything: a bearer travels over https, or not at all."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return f"{url!r} is no address"
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        return f"{url!r} is no https address: a bearer travels over https only"
    if not host or parts.query or parts.fragment or parts.username or parts.password:
        return f"{url!r} is no plain address: a host and a path, and nothing else"
    return None


def _check_segments(segments: Segments, path: Path) -> Iterator[Problem]:
    for index, segment in enumerate(segments):
        if segment in {"", ".", ".."} or "/" in str(segment):
            message = f"`{segment}` is no segment of a path"
            yield Problem((*path, index), "bad-format", message, "write a list: [refunds, latest]")


def _check_header(name: str, value: str) -> Iterator[Problem]:
    path: Path = ("headers", name)
    if not _HEADER.fullmatch(name):
        yield Problem(path, "bad-format", f"`{name}` is no name of a header", key=True)
    elif name.lower() in _OWN_HEADERS:
        yield Problem(path, "bad-value", f"`{name}` is set by the executor itself", "take it out", key=True)
    if "${" in value and value not in _HEADER_REFERENCES:
        yield Problem(path, "bad-reference", f"`{value}` can't stand in a header", "give it in the body")
    elif not _HEADER_TEXT.fullmatch(value):
        yield Problem(path, "bad-format", f"`{value}` is no value of a header", "up to 200 ASCII characters")


def _count(value: Any) -> int:  # noqa: ANN401 - JSON
    """Return how often the digest stands in JSON."""
    if isinstance(value, dict | list):
        return sum(_count(item) for item in (value.values() if isinstance(value, dict) else value))
    return int(value == _DIGEST)


def audience_of(action: ActionAccess) -> ClaimGrant:
    """Return the one audience of an action that is carried out by `http`, with its scope."""
    found = [grant for grant in action.grants if isinstance(grant, ClaimGrant)]
    if len(found) != 1 or len(action.grants) != 1:
        raise PlaceError(f"{action.name} must grant one audience, and nothing else")
    return found[0]


def reads_of(action: ActionAccess) -> tuple[ClaimGrant, ...]:
    """Return whose token an executor's read has: the action's own audience and scope, for reading."""
    call = {} if action.execution is None else json.loads(action.execution.call)
    return (audience_of(action),) if call.get("read") else ()
