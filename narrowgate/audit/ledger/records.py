"""One record of the ledger: a line of JSON that names the hash of the line before it. The format has version 1.

A line begins with `{"version":1,"seq":N,"prev":"<SHA-256 of the line before, hex>","kind":…`, so that a reader can
follow the chain without parsing the rest. `seq` counts from 1; the first record's `prev` is 64 zeros.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from narrowgate.audit.ledger.errors import RecordError
from narrowgate.audit.ledger.redaction import Redaction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

VERSION: Final = 1
FIRST_PREV: Final = "0" * 64
RECORD_LIMIT: Final = 16 * 1024
NAME_LIMIT: Final = 200

# The writer's own kinds; the others are an agent's.
OWN_KINDS: Final = frozenset({"opened", "recovered", "lost", "checkpoint", "sealed", "continued", "pruned"})
KINDS: Final = OWN_KINDS | {"login", "lease", "begin", "call", "note"}
OUTCOMES: Final = frozenset({"allowed", "refused", "failed", "unknown"})
_NAMES: Final = Redaction(text_limit=NAME_LIMIT)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose records these are: one workflow's, in one environment, for one user (None: it acts for nobody)."""

    environment: str = ""
    workflow: str = ""
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """The credential that a call used: Vault's `id`, and what the witnesses call it (access key id, session, login)."""

    id: str = ""
    access_key_id: str | None = None
    session: str | None = None
    login: str | None = None
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What one record says. `inputs` and `outputs` are raw: the writer redacts and bounds them.

    `kind` is `call` for a finished call, `begin` for one of high impact that is about to start, `lease` for a
    credential, `login` for a login, `note` for anything else. `call_id` joins a `begin` to its `call`. `requests` are
    the ids by which AWS knows the call. `recorded` is False on a lease whose calls this ledger cannot see.
    """

    kind: str
    tool: str | None = None
    action: str | None = None
    operation: str | None = None
    inputs: Any = None
    outputs: Any = None
    outcome: str | None = None
    error: str | None = None
    approver: Any = None
    lease: Lease | None = None
    duration_ms: float | None = None
    requests: tuple[str, ...] = ()
    call_id: str | None = None
    case_id: str | None = None
    recorded: bool | None = None
    origin: Origin | None = None
    time: dt.datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def serialize_entry(
    entry: Entry, origin: Origin, redaction: Redaction, secrets: AbstractSet[str] = frozenset()
) -> bytes:
    """Return the part of a record's line that follows `"prev"`: everything the entry says, redacted and bounded.

    Raises:
        RecordError: the entry's kind or outcome is none that the format has.

    """
    if entry.kind not in KINDS:
        raise RecordError(f"A record has no kind {entry.kind[:40]!r}.", hint=f"known: {', '.join(sorted(KINDS))}")
    if entry.outcome is not None and entry.outcome not in OUTCOMES:
        raise RecordError(
            f"A call has no outcome {entry.outcome[:40]!r}.", hint=f"known: {', '.join(sorted(OUTCOMES))}"
        )
    whose = entry.origin or origin
    body: dict[str, Any] = {
        "kind": entry.kind,
        "time": format_time(entry.time or dt.datetime.now(dt.UTC)),
        "environment": whose.environment,
        "workflow": whose.workflow,
        "user": whose.user,
        "tool": entry.tool,
        "action": entry.action,
        "operation": entry.operation,
        "outcome": entry.outcome,
        "error": _NAMES.apply(entry.error, secrets),
        "duration_ms": None if entry.duration_ms is None else round(entry.duration_ms, 3),
        "lease": _lease(entry.lease),
        "requests": list(entry.requests[:8]),
        "call_id": entry.call_id,
        "case_id": entry.case_id,
        "recorded": entry.recorded,
    }
    body = {key: _NAMES.apply(value) if isinstance(value, str) else value for key, value in body.items()}
    for name, value in (
        ("approver", entry.approver),
        ("inputs", entry.inputs),
        ("outputs", entry.outputs),
        ("details", dict(entry.details)),
    ):
        body[name] = redaction.apply(value, secrets)
    return _bound({key: value for key, value in body.items() if value not in (None, [], {})})


def serialize_own(kind: str, details: Mapping[str, Any], origin: Origin) -> bytes:
    """Return the body of one of the writer's own records, which hold nothing of a call."""
    body: dict[str, Any] = {
        "kind": kind,
        "time": format_time(dt.datetime.now(dt.UTC)),
        "environment": origin.environment,
        "workflow": origin.workflow,
        "user": origin.user,
        "details": dict(details),
    }
    return _bound({key: value for key, value in body.items() if value not in (None, "")})


def _lease(lease: Lease | None) -> dict[str, str] | None:
    if lease is None:
        return None
    values = {name: getattr(lease, name) for name in ("id", "access_key_id", "session", "login", "expires")}
    return {name: value[:NAME_LIMIT] for name, value in values.items() if value}


def _bound(body: dict[str, Any]) -> bytes:
    """Return the body as JSON without its outer brace; what makes it too long gives way to its size."""
    text = _dump(body)
    for large in ("outputs", "inputs", "details", "approver"):
        if len(text) <= RECORD_LIMIT:
            break
        if large in body:
            body[large] = {"omitted": "too long", "bytes": len(_dump(body[large]))}
            text = _dump(body)
    if len(text) > RECORD_LIMIT:
        raise RecordError(f"A record has {len(text)} bytes; at most {RECORD_LIMIT} are kept.")
    return text[1:]


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def join_line(seq: int, prev: str, body: bytes) -> bytes:
    """Return the whole line of a record, with its newline."""
    return start_of_line(seq, prev) + body + b"\n"


def start_of_line(seq: int, prev: str) -> bytes:
    """Return how the line of record `seq` must begin when the line before it has the hash `prev`."""
    return b'{"version":1,"seq":%d,"prev":"%s",' % (seq, prev.encode())


def hash_line(line: bytes) -> str:
    """Return the SHA-256 of a line without its newline, in hex."""
    return hashlib.sha256(line).hexdigest()


def parse_line(line: bytes) -> dict[str, Any]:
    """Return the record in `line`.

    Raises:
        RecordError: it is no record, or one of a newer version.

    """
    try:
        record = json.loads(line)
    except ValueError:
        raise RecordError("A line of the ledger is not JSON.") from None
    if not isinstance(record, dict) or not isinstance(record.get("version"), int):
        raise RecordError("A line of the ledger is no record.")
    if record["version"] > VERSION:
        raise RecordError(
            f"The ledger has records of version {record['version']}; this library reads {VERSION}.",
            hint="Install a newer narrowgate.",
        )
    return record


def format_time(when: dt.datetime) -> str:
    """Return a time in UTC, to the microsecond, as records spell it."""
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
