"""The gate before the AWS emulator: an ASGI layer, in a process of its own, that refuses back doors and records calls.

MiniStack takes the key `test`, every twelve-digit key and an unsigned request for an account's root, and has admin
paths that wipe it. Here those are only for who knows the operator's secret. Everything else goes to MiniStack, which
verifies signatures and enforces IAM; the decision is recorded whatever it was. It must not allow what MiniStack denies.
MiniStack reads its settings on import, so it is imported only where this process runs it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hmac
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from rehearsal.aws_events import Call, Identity, Outcome, build_event, read_error
from rehearsal.aws_iam import teach_iam
from rehearsal.aws_web_identity import ACTION as FEDERATED
from rehearsal.aws_web_identity import ISSUERS_VARIABLE, WebIdentityError, check_token

if TYPE_CHECKING:
    from collections.abc import Mapping

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPERATOR_HEADER = "x-narrowgate-operator"
SERVED = frozenset({"cloudtrail", "iam", "kms", "logs", "monitoring", "s3", "sns", "sts"})
ADMIN_PREFIXES = ("/_",)
ADMIN_PATHS = frozenset({"/health"})
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost"})
BODY_LIMIT_BYTES = 64 * 1024 * 1024
KEPT_RESPONSE_BYTES = 64 * 1024
SAVE_AFTER_SECONDS = 0.5
SECRET_VARIABLE = "NARROWGATE_AWS_OPERATOR_SECRET_FILE"  # noqa: S105 - the name of a variable that names a file
RECORD_VARIABLE = "NARROWGATE_AWS_RECORD_FILE"


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request, its headers read exactly as MiniStack reads them: both must see the same caller."""

    call: Call
    access_key: str
    host: str
    operator: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the layer itself refuses a request, in AWS's own words where it has some."""

    status: int
    code: str
    message: str


class Layer:
    """The ASGI app around `app`. `secret` opens the operator's paths, `record` takes each event, `save` persists.

    `issuers` are the public keys (PEM) of the issuers whose tokens an account may trust.
    """

    def __init__(
        self,
        app: App,
        secret: str,
        record: Callable[[dict[str, Any]], None],
        save: Callable[[], None],
        issuers: Mapping[str, str] | None = None,
    ) -> None:
        self._app = app
        self._issuers = issuers or {}
        self._secret = secret
        self._record = record
        self._save = save
        self._saving: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request or pass it on; it is recorded before its caller gets the answer's end."""
        body = await _read_body(receive)
        if body is None:
            await _send_refusal(send, TOO_LARGE, "")
            return
        request = read_request(scope, body, self._secret)
        identity = identify(request.access_key)
        refusal = judge(request)
        if refusal is None and is_federated(request.call):
            identity, refusal = self._federate(request.call)

        def finish(outcome: Outcome) -> None:
            if request.operator and _is_admin(request.call.path):
                return  # the operator's own health checks
            event = build_event(request.call, identity, outcome, dt.datetime.now(dt.UTC))
            self._record(event)
            if not read_error(outcome)[0] and not event["readOnly"]:
                self._schedule_save()

        if refusal is None:
            await self._pass_on(scope, body, receive, watch_answer(send, finish))
        else:
            await _send_refusal(watch_answer(send, finish), refusal, request.call.service)

    def _federate(self, call: Call) -> tuple[Identity, Refusal | None]:
        """Return who presents the token of a federated login, and why STS refuses it, if it does."""
        parameters = _form(call)
        token, role = parameters.get("WebIdentityToken", [""])[-1], parameters.get("RoleArn", [""])[-1]
        try:
            claims = check_token(token, role, self._issuers)
        except WebIdentityError as error:
            return Identity("Unknown", ""), Refusal(400, "InvalidIdentityToken", str(error))
        subject = str(claims["sub"])
        principal = f"{claims['iss']}:{claims['aud']}:{subject}"
        return Identity("WebIdentityUser", "", principal_id=principal, user_name=subject), None

    async def _pass_on(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Let MiniStack answer the request, whose body was read already."""
        unread = True

        async def replay() -> MutableMapping[str, Any]:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        own = OPERATOR_HEADER.encode()
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != own]
        passed = {**scope, "headers": headers, "scheme": read_scheme(headers)}
        await self._app(passed, replay, send)

    def _schedule_save(self) -> None:
        """Persist soon; the calls of the next moment share one writing."""
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._save_later())

    async def _save_later(self) -> None:
        await asyncio.sleep(SAVE_AFTER_SECONDS)
        self._saving = None  # A call that comes while this one writes must be written again
        self._save()


def read_scheme(headers: list[tuple[bytes, bytes]]) -> str:
    """Return what the request counts as for `aws:SecureTransport`: AWS's own endpoints speak TLS, this one is loopback.

    A client may say that it came without TLS (`X-Forwarded-Proto: http`), which can only take something away from it.
    """
    return "http" if (b"x-forwarded-proto", b"http") in [(name.lower(), value) for name, value in headers] else "https"


def watch_answer(send: Send, finish: Callable[[Outcome], None]) -> Send:
    """Return a `send` that calls `finish` with the whole answer just before its last part goes out."""
    status, headers, kept = 0, {}, bytearray()

    async def watched(message: MutableMapping[str, Any]) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], _join_headers(message.get("headers", []))
        elif message["type"] == "http.response.body":
            if len(kept) < KEPT_RESPONSE_BYTES:
                kept.extend(message.get("body", b""))
            if not message.get("more_body", False):
                finish(Outcome(status, headers, bytes(kept)))
        await send(message)

    return watched


NOT_LOCAL = Refusal(403, "AccessDenied", "the rehearsal answers on 127.0.0.1 and localhost only")
ADMIN_ONLY = Refusal(403, "AccessDenied", "the emulator's own paths are for the rehearsal's operator only")
UNSIGNED = Refusal(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
AMBIGUOUS = Refusal(400, "InvalidParameterValue", "the rehearsal takes each parameter once, in one place")
NO_ROOT = Refusal(403, "InvalidClientTokenId", "the rehearsal has no root keys: use the operator's")
NOT_SERVED = Refusal(400, "InvalidAction", f"the rehearsal serves {', '.join(sorted(SERVED))} only")
TOO_LARGE = Refusal(413, "EntityTooLarge", f"the rehearsal takes bodies of at most {BODY_LIMIT_BYTES} bytes")


async def _read_body(receive: Receive) -> bytes | None:
    """Return the whole body, or None when it is longer than the limit or the client went away."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body.extend(message.get("body", b""))
        if len(body) > BODY_LIMIT_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _join_headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name; a repeated one is joined, as MiniStack joins it."""
    from ministack.core.sigv4 import decode_header_value

    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), decode_header_value(raw_value)
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def read_request(scope: Mapping[str, Any], body: bytes, secret: str) -> Request:
    """Return the request with its caller's key, service and action as MiniStack itself tells them."""
    from ministack.core import iam_actions, router

    headers = _join_headers(scope["headers"])
    query = parse_qs(scope.get("query_string", b"").decode("utf-8", "replace"), keep_blank_values=True)
    routing = dict(query)
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        routing = {**parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True), **query}
    method, path = scope["method"], scope["path"]
    service = router.detect_service(method, path, headers, routing)
    action = iam_actions.extract_iam_action(service, method, path, headers, body, routing) or ""
    call = Call(
        service=service,
        action=action.partition(":")[2] or f"{method} {path}",
        region=router.extract_region(headers, query),
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        source_address=(scope.get("client") or ("",))[0],
    )
    return Request(
        call=call,
        access_key=router.extract_access_key_id(headers, query),
        host=headers.get("host", "").rsplit(":", 1)[0],
        operator=hmac.compare_digest(headers.get(OPERATOR_HEADER, "").encode(), secret.encode()),
    )


def judge(request: Request) -> Refusal | None:
    """Return why the layer refuses `request`, or None when it is MiniStack's to decide."""
    from ministack.core.iam_evaluator import is_root_access_key

    if request.host not in LOCAL_HOSTS:
        return NOT_LOCAL
    if request.operator:
        return None
    federated = is_federated(request.call)
    closed = (
        (_is_admin(request.call.path), ADMIN_ONLY),
        (is_ambiguous(request.call), AMBIGUOUS),
        (not request.access_key and not federated, UNSIGNED),
        # MiniStack takes an unsigned request for root's; a federated login gets what its token gives, whoever signs.
        (is_root_access_key(request.access_key) and not federated, NO_ROOT),
        (request.call.service not in SERVED, NOT_SERVED),
    )
    return next((refusal for applies, refusal in closed if applies), None)


def _form(call: Call) -> dict[str, list[str]]:
    """Return the parameters of a call of IAM's or STS's query protocol, wherever they stand."""
    found = dict(call.query)
    for name, values in parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True).items():
        found[name] = [*found.get(name, []), *values]
    return found


def is_ambiguous(call: Call) -> bool:
    """Tell whether MiniStack could judge a call of IAM or STS by one parameter and carry it out by another."""
    if call.service not in {"iam", "sns", "sts"}:
        return False
    return "x-amz-target" in call.headers or any(len(values) > 1 for values in _form(call).values())


def is_federated(call: Call) -> bool:
    """Tell whether the call is a login by the token of an OIDC provider, which carries no signature."""
    return FEDERATED in (call.action, *_form(call).get("Action", ()))


def _is_admin(path: str) -> bool:
    return path.startswith(ADMIN_PREFIXES) or path in ADMIN_PATHS


async def _send_refusal(send: Send, refusal: Refusal, service: str) -> None:
    """Answer in the form that the service's clients understand."""
    if service in {"cloudtrail", "kms", "logs"}:
        kind, text = "application/x-amz-json-1.1", json.dumps({"__type": refusal.code, "message": refusal.message})
    else:
        error = f"<Error><Code>{refusal.code}</Code><Message>{escape(refusal.message)}</Message></Error>"
        kind, text = "text/xml", error if service == "s3" else f"<ErrorResponse>{error}</ErrorResponse>"
    body = text.encode()
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def identify(access_key: str) -> Identity:
    """Return whose `access_key` is, as MiniStack knows it; whether the signature was theirs is MiniStack's to say."""
    from ministack.core import iam_evaluator, responses
    from ministack.services import iam, sts

    if iam_evaluator.is_root_access_key(access_key):
        root = access_key if access_key.isdigit() else ""
        return Identity("Root", access_key, f"arn:aws:iam::{root}:root" if root else "", root, root)
    account: str | None
    try:
        account = (
            responses._account_from_sts_session(access_key)  # noqa: SLF001 - MiniStack has no public way to ask
            or iam_evaluator.find_iam_access_key_account(access_key)
        )
    except iam_evaluator.AmbiguousAccessKeyError:
        account = None
    found = iam_evaluator.resolve_credential(access_key, account) if account else None
    if found is None or isinstance(found, iam_evaluator.CredentialResolutionError):
        return Identity("Unknown", access_key)
    known = {"arn": found.principal_arn, "account": found.account_id, "principal_id": found.principal_id}
    if found.principal_type != "AssumedRole":
        return Identity("IAMUser", access_key, user_name=found.principal_name, **known)
    name = found.principal_arn.split("/")[1]
    role = iam._roles.get_scoped(found.account_id, None, name) or {}  # noqa: SLF001 - as above
    started = sts._sessions.get(access_key, {}).get("IssuedAt")  # noqa: SLF001 - as above
    return Identity(
        "AssumedRole",
        access_key,
        role_arn=role.get("Arn", ""),
        role_id=role.get("RoleId", ""),
        session_started=started,
        **known,
    )


def append_event(file: Path) -> Callable[[dict[str, Any]], None]:
    """Return what writes an event to `file`, one line each, in one write."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def record(event: dict[str, Any]) -> None:
        os.write(descriptor, json.dumps(event, separators=(",", ":")).encode() + b"\n")

    return record


async def _run(port: int, secret: str, issuers: Mapping[str, str]) -> None:
    """Serve on loopback until told to end; MiniStack persists its state on the way out."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack import app as ministack
    from ministack.core.persistence import save_all

    def save() -> None:
        save_all(ministack._build_persistence_save_dict())  # noqa: SLF001 - it has no public way to save while it runs

    teach_iam()
    layer = Layer(ministack.app, secret, append_event(Path(os.environ[RECORD_VARIABLE])), save, issuers)
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    config.graceful_timeout = 2.0
    await serve(cast("Any", layer), config, shutdown_trigger=ended.wait)


if __name__ == "__main__":
    os.umask(0o077)
    known = json.loads(Path(os.environ[ISSUERS_VARIABLE]).read_text())
    asyncio.run(_run(int(sys.argv[1]), Path(os.environ[SECRET_VARIABLE]).read_text().strip(), known))  # noqa: TID251 - a program of its own
