"""The executor's ledger: one record before a gated action and one after it. Without the first, nothing is executed.

It names who asked, who approved, the request, and the lease by which it was done. Vault vouches for it where the
gate's description says by which key. This module must not decide anything.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from narrowgate.approvals.errors import RecordNotKeptError, SettingsError
from narrowgate.audit.ledger import CheckpointError, Entry, Lease, Ledger, LedgerError, Origin
from narrowgate.audit.ledger.places import find_ledger_file, read_ledger_variable
from narrowgate.audit.ledger.redaction import HIDDEN, Redaction, hide_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from narrowgate.approvals.case import Case, Outcome
    from narrowgate.approvals.handlers import Credentials
    from narrowgate.approvals.settings import GatedAction, LedgerPlaces
    from narrowgate.approvals.vault import Vault

logger = structlog.get_logger("narrowgate.approvals")
OFF = "off"


def open_ledger(choice: Ledger | Path | str | None, environment: str, tool: str) -> Ledger:
    """Return the ledger of a tool's executor: `choice`, what NARROWGATE_LEDGER says, or the state folder's.

    Raises:
        SettingsError: it is turned off; an executor keeps one.

    """
    if isinstance(choice, Ledger):
        return choice
    named = choice or read_ledger_variable()
    if str(named) == OFF:
        raise SettingsError("An executor records what it executes: its ledger cannot be off.", hint="Name a file.")
    name = f"executor.{tool}"
    path = find_ledger_file(named, environment, name)
    return Ledger(path, Origin(environment, name), warn=lambda event, code: logger.warning(event, code=code))


class GateWitness:
    """Signs and anchors checkpoints by the executor's own login; `entity` is that login's."""

    def __init__(self, vault: Vault, places: LedgerPlaces, entity: str) -> None:
        self._vault, self._places, self._entity = vault, places, entity
        self.key = places.sign.replace("/sign/", "/")

    def sign(self, message: bytes) -> str:
        """Return Vault's signature of `message`; raise CheckpointError, or what Vault's refusal is."""
        body = {"input": base64.b64encode(message).decode()}
        data = self._vault.ask("post", self._places.sign, body, repeat=True).get("data")
        if not isinstance(data, Mapping) or not data.get("signature"):
            raise CheckpointError("Vault answered without a signature.")
        return str(data["signature"])

    def anchor(self, name: str, data: Mapping[str, Any]) -> str:
        """Create an anchor and return its path. It is not repeated: the first may have arrived."""
        place = f"{self._places.anchors}/{self._entity}/{name}-{secrets.token_hex(4)}"
        self._vault.ask("post", place, {"options": {"cas": 0}, "data": dict(data)})
        return place


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of an execution: how it ended (None: nothing was begun) and the credential that it took."""

    outcome: Outcome | None
    gated: Credentials | None = None


def record_execution(
    ledger: Ledger,
    case: Case,
    approvers: Sequence[Mapping[str, str]],
    action: GatedAction,
    carry_out: Callable[[], Carried],
) -> Outcome | None:
    """Carry a case out between two records, and return how it ended.

    Neither holds what the `action` calls secret: by its `secret_fields`, or as `writeOnly` in its schema of inputs.

    Raises:
        RecordNotKeptError: it did not start, since its first record could not be kept and vouched for.

    """
    hidden = frozenset(find_hidden(case.inputs, action.inputs, hide_fields(action.secret_fields)))
    entry = describe_case(case, approvers, action)
    carried: Carried | None = None
    began = False
    try:
        with ledger.high_impact(entry, secrets=hidden) as finish:
            began = True
            carried = carry_out()
            end, secrets_of_lease = _describe_end(entry, carried)
            finish(end, secrets=secrets_of_lease)
    except LedgerError as error:
        if not began:
            raise RecordNotKeptError(f"Nothing was executed, since it could not be recorded: {error}") from error
        if carried is None:  # claiming the request failed, too
            raise RecordNotKeptError(f"Nothing was executed, and the ledger failed: {error}") from error
        logger.warning("ledger.record-lost", request=case.request, code=error.code)
        if carried.outcome is not None:
            words = f"{carried.outcome.words} (its last record could not be written to the ledger)"
            return replace(carried.outcome, words=words)
    return carried.outcome if carried is not None else None


def describe_case(case: Case, approvers: Sequence[Mapping[str, str]], action: GatedAction) -> Entry:
    """Return what both records of a case say: who asked for what, and who approved it."""
    hide = hide_fields(action.secret_fields)
    return Entry(
        kind="call",
        tool=case.tool,
        action=case.action,
        operation="gated:execute",
        inputs=hide.apply(hide_by_schema(case.inputs, action.inputs)),
        approver=[dict(person) for person in approvers],
        case_id=case.request,
        origin=Origin(case.environment, case.workflow, case.requester.name),
        details={"digest": case.digest, "requester_entity": case.requester.entity, "target": case.target},
    )


def hide_by_schema(value: Any, schema: Any) -> Any:  # noqa: ANN401 - JSON by a JSON Schema
    """Return `value` with every field hidden that its schema calls `writeOnly`, or a password."""
    if not isinstance(schema, Mapping):
        return value
    if _is_hidden(schema):
        return HIDDEN
    if isinstance(value, Mapping):
        return {name: hide_by_schema(inner, _property(schema, name)) for name, inner in value.items()}
    if isinstance(value, list):
        return [hide_by_schema(inner, schema.get("items")) for inner in value]
    return value


def find_hidden(value: Any, schema: Any, rules: Redaction) -> Iterator[str]:  # noqa: ANN401 - as above
    """Yield the texts of `value` that its schema or `rules` hide: they must not stand elsewhere in a record either."""
    known = schema if isinstance(schema, Mapping) else {}
    if _is_hidden(known):
        yield from _texts(value)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner) if rules.hides(str(name)) else find_hidden(inner, _property(known, name), rules)
    elif isinstance(value, list):
        for inner in value:
            yield from find_hidden(inner, known.get("items"), rules)


def _property(schema: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - as above
    known = schema.get("properties")
    return known.get(name) if isinstance(known, Mapping) else None


def _is_hidden(schema: Mapping[str, Any]) -> bool:
    return schema.get("writeOnly") is True or schema.get("format") == "password"


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - as above
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _describe_end(entry: Entry, carried: Carried) -> tuple[Entry, frozenset[str]]:
    outcome, gated = carried.outcome, carried.gated
    if outcome is None:
        return replace(entry, outcome="refused", error="another executor carries it out"), frozenset()
    values = {} if gated is None else gated.values
    lease = None
    if gated is not None:
        lease = Lease(
            id=gated.lease,
            access_key_id=_text(values, "access_key"),
            session=(_text(values, "arn") or "").rpartition("/")[2] or None,
            login=_text(values, "username"),
        )
    shown = {"access_key", "arn", "username"}
    hidden = frozenset(value for name, value in values.items() if isinstance(value, str) and name not in shown)
    how = {"executed": "allowed", "failed": "failed", "in-doubt": "unknown"}.get(outcome.state.value, "refused")
    details = {
        **entry.details,
        "state": outcome.state.value,
        "verified": outcome.verified,
        "accessor": outcome.accessor,
    }
    end = replace(
        entry,
        outcome=how,
        error=None if how == "allowed" else outcome.words,
        outputs=outcome.result,
        lease=lease,
        details=details,
    )
    return end, hidden


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None
