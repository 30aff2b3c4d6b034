"""A case as it is put before a person's eyes: every text made safe, nothing shortened, what is odd said in words.

Command line and page show exactly this, so that both show the same. It must not decide anything, nor know how a
terminal or a page escapes text: texts here hold printable characters only and are still data, never markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from narrowgate.approvals.case import OPEN, State, now
from narrowgate.approvals.text import find_oddities, show, show_value

if TYPE_CHECKING:
    from narrowgate.approvals.case import Case
    from narrowgate.approvals.decide import CaseView
    from narrowgate.approvals.settings import FactorRule

_WORDS: Final[Mapping[State, str]] = {
    State.WAITING: "waits for approval",
    State.APPROVED: "approved, waits for the executor",
    State.EXECUTING: "is being executed",
    State.EXECUTED: "executed",
    State.FAILED: "failed: nothing was changed",
    State.IN_DOUBT: "in doubt: it may have been executed, or not",
    State.DENIED: "denied",
    State.EXPIRED: "expired",
    State.REFUSED: "refused by the executor",
    State.STOPPED: "ended by an emergency stop",
}
_MINUTE: Final = 60
_HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class ShownChange:
    """One change in safe text."""

    what: str
    before: str
    after: str

    @property
    def differs(self) -> bool:
        """Return whether anything changes here."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """One decision in safe text; `note` says why it does not count, empty where it does."""

    name: str
    verdict: str
    reason: str
    at: str
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """All that a person must see of a case, in safe text. `rationale` is lines; `inputs` and `calls` are (name, value).

    `warnings` are ours; everything else may hold an agent's words.
    """

    request: str
    digest: str
    state: str
    status: str
    missing: int
    environment: str
    asked_for: str
    workflow: str
    action: str
    description: str
    target: str
    changes: tuple[ShownChange, ...]
    inputs: tuple[tuple[str, str], ...]
    calls: tuple[tuple[str, str], ...]
    rationale: tuple[str, ...]
    reversible: str
    deciders: str
    drafted_at: str
    expires_at: str
    expires_in: str
    decisions: tuple[ShownDecision, ...]
    outcome: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    refusal: str
    open: bool


def present(view: CaseView) -> Shown:
    """Return `view` as it is to be shown."""
    case = view.case
    return Shown(
        request=show(case.request),
        digest=view.digest,
        state=view.state.value,
        status=_tell_status(view),
        missing=view.missing,
        environment=show(case.environment),
        asked_for=show(case.requester.name),
        workflow=show(case.workflow),
        action=show(case.name),
        description=show(case.description),
        target=show(case.target),
        changes=tuple(ShownChange(show(c.what), show_value(c.before), show_value(c.after)) for c in case.changes),
        inputs=_show_pairs(case.inputs),
        calls=_show_pairs(case.calls),
        rationale=tuple(show(case.rationale, lines=True).split("\n")),
        reversible=show(case.reversible),
        deciders=tell_deciders(case.factors),
        drafted_at=show(case.drafted_at),
        expires_at=show(case.expires_at),
        expires_in=_tell_time_left(case.expires_at),
        decisions=_show_decisions(view),
        outcome=_show_outcome(view),
        warnings=tuple(_warn(case)),
        refusal=show(view.refusal or ""),
        open=view.state in OPEN,
    )


def describe(view: CaseView) -> dict[str, Any]:
    """Return `view` for programs: values as they are, to be written as ASCII JSON."""
    case = view.case
    return {
        "request": case.request,
        "digest": view.digest,
        "state": view.state.value,
        "missing": view.missing,
        "refusal": view.refusal,
        "read_at": view.read_at,
        "case": asdict(case),
        "decisions": [asdict(decision) for decision in view.decisions],
        "outcome": None if view.outcome is None else asdict(view.outcome),
        "warnings": list(_warn(case)),
    }


def tell_deciders(factors: tuple[FactorRule, ...]) -> str:
    """Return who must approve, in words."""
    parts = [f"{factor.required} of {' or '.join(map(show, factor.groups))}" for factor in factors]
    return ", and ".join(parts)


def _tell_status(view: CaseView) -> str:
    words = _WORDS[view.state]
    if view.state is State.WAITING:
        return f"{words} ({view.missing} more needed)"
    return words


def _tell_time_left(expires_at: str) -> str:
    left = int((datetime.fromisoformat(expires_at) - now()).total_seconds())
    if left <= 0:
        return "its time is over"
    if left < _MINUTE:
        return f"in {left} s"
    if left < _HOUR:
        return f"in {left // _MINUTE} min"
    return f"in {left // _HOUR} h {left % _HOUR // _MINUTE} min"


def _show_pairs(pairs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((show(str(name)), show_value(value)) for name, value in sorted(pairs.items()))


def _show_decisions(view: CaseView) -> tuple[ShownDecision, ...]:
    return tuple(
        ShownDecision(
            show(decision.person.name),
            decision.verdict.value,
            show(decision.reason),
            show(decision.decided_at),
            "" if decision.counts else "does not count",
        )
        for decision in view.decisions
    )


def _show_outcome(view: CaseView) -> tuple[tuple[str, str], ...]:
    outcome = view.outcome
    if outcome is None:
        return ()
    rows = [("what happened", show(outcome.words)), ("at", show(outcome.at)), ("by", show(outcome.executor))]
    if outcome.approvers:
        rows.append(("approved by", ", ".join(show(str(entry.get("name"))) for entry in outcome.approvers)))
    if outcome.result is not None:
        rows.append(("result", show_value(outcome.result)))
    if outcome.verified is not None:
        rows.append(("looked at afterwards", "as the case said" if outcome.verified else "NOT as the case said"))
    if outcome.lease:
        rows.append(("lease", show(outcome.lease)))
    if outcome.accessor:
        rows.append(("accessor", show(outcome.accessor)))
    return tuple(rows)


def _warn(case: Case) -> Iterator[str]:
    if case.target_version is None:
        yield "What stands there now is not read: the diff shows only what will be."
    elif not any(change.before != change.after for change in case.changes):
        yield "Nothing would change: the target is already so."
    for place, text in _list_texts(case):
        for oddity in find_oddities(text):
            yield f"{show(place)}: {oddity}."


def _list_texts(case: Case) -> Iterator[tuple[str, str]]:
    """Yield every text of a case that may be somebody else's, with where it stands."""
    yield "rationale", case.rationale
    yield "requester", case.requester.name
    yield from _walk("inputs", case.inputs)
    for change in case.changes:
        yield from _walk(f"{change.what} now", change.before)


def _walk(place: str, value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for name, part in sorted(value.items()):
            yield f"{place}, a name", str(name)
            yield from _walk(f"{place}.{name}", part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _walk(f"{place}[{number}]", part)
