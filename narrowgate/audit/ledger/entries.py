"""Reads an entry from JSON, as a client in another language hands it in. Strict: what is not known is refused.

This module must not write anything; the writer redacts and bounds what is read here.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from narrowgate.audit.ledger.errors import RecordError
from narrowgate.audit.ledger.records import KINDS, OUTCOMES, OWN_KINDS, Entry, Lease

# A line longer than this is no entry: the writer keeps 16 KiB of it at most.
LINE_LIMIT: Final = 4 * 1024 * 1024
_TEXTS: Final = ("kind", "tool", "action", "operation", "outcome", "error", "call_id", "case_id")
_FREE: Final = ("inputs", "outputs", "approver")
_LEASE: Final = tuple(field.name for field in fields(Lease))
FIELDS: Final = frozenset(
    (*_TEXTS, *_FREE, "details", "lease", "duration_ms", "requests", "recorded", "time", "user", "secrets")
)


@dataclass(frozen=True, slots=True)
class GivenEntry:
    """An entry, the `user` it was made for (None: not said), and the `secrets` that must not stand in its record."""

    entry: Entry
    user: str | None
    secrets: frozenset[str]


def parse_entry(text: bytes | str) -> GivenEntry:
    """Return the entry in a JSON object.

    Raises:
        RecordError: it is none; the message names the field, never its value.

    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise RecordError("It is not JSON.") from None
    if not isinstance(data, Mapping):
        raise RecordError("It is no JSON object.")
    unknown = sorted(str(name)[:40] for name in data.keys() - FIELDS)
    if unknown:
        raise RecordError(f"An entry has no field {unknown[0]!r}.", hint=f"known: {', '.join(sorted(FIELDS))}")
    for name in (*_TEXTS, "user"):
        _require(data, name, str, "a text")
    kind = data.get("kind") or "call"
    if kind not in KINDS - OWN_KINDS:
        raise RecordError("Its kind is none of an agent.", hint=f"known: {', '.join(sorted(KINDS - OWN_KINDS))}")
    if data.get("outcome") not in {None, *OUTCOMES}:
        raise RecordError("Its outcome is none.", hint=f"known: {', '.join(sorted(OUTCOMES))}")
    texts = {name: data.get(name) for name in _TEXTS if name != "kind"}
    entry = Entry(
        kind=kind,
        **texts,
        **{name: data.get(name) for name in _FREE},
        details=_require(data, "details", Mapping, "an object") or {},
        lease=_parse_lease(data),
        duration_ms=_parse_duration(data),
        requests=tuple(_parse_texts(data, "requests")),
        recorded=_require(data, "recorded", bool, "true or false"),
        time=_parse_time(data),
    )
    return GivenEntry(entry, data.get("user"), frozenset(_parse_texts(data, "secrets")))


def _require(data: Mapping[str, Any], name: str, kind: type[Any], words: str) -> Any:  # noqa: ANN401 - JSON
    value = data.get(name)
    if value is not None and not isinstance(value, kind):
        raise RecordError(f"{name}: it must be {words}.")
    return value


def _parse_lease(data: Mapping[str, Any]) -> Lease | None:
    lease = _require(data, "lease", Mapping, "an object")
    if lease is None:
        return None
    if lease.keys() - set(_LEASE):
        raise RecordError("lease: it has a field that is not known.", hint=f"known: {', '.join(_LEASE)}")
    if not all(isinstance(value, str) for value in lease.values()):
        raise RecordError("lease: its fields must be texts.")
    return Lease(**lease)


def _parse_duration(data: Mapping[str, Any]) -> float | None:
    value = data.get("duration_ms")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise RecordError("duration_ms: it must be a number of milliseconds.")
    return float(value)


def _parse_texts(data: Mapping[str, Any], name: str) -> list[str]:
    values: list[object] = _require(data, name, list, "a list") or []
    if not all(isinstance(value, str) for value in values):
        raise RecordError(f"{name}: it must be a list of texts.")
    return [str(value) for value in values]


def _parse_time(data: Mapping[str, Any]) -> dt.datetime | None:
    text = _require(data, "time", str, "a time")
    if text is None:
        return None
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        raise RecordError("time: it must be a time as in RFC 3339.") from None
    if when.tzinfo is None:
        raise RecordError("time: it must name its zone.", hint="2026-01-31T08:15:00Z, for example.")
    return when
