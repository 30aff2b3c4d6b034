"""How a case looks in a terminal: every line whole, an agent's lines marked, nothing that a terminal would obey."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narrowgate.approvals.present import Shown

_WIDTH: Final = 12


def echo_json(document: Any, *, indent: int | None = 2) -> None:  # noqa: ANN401 - JSON of any shape
    """Print JSON in ASCII: control, hidden and right-to-left characters stand there as escapes."""
    typer.echo(json.dumps(document, ensure_ascii=True, indent=indent, sort_keys=False))


def render_case(shown: Shown) -> str:
    """Return a case as lines; those of the agent's rationale begin with a bar, so that none passes for ours."""
    return "\n".join(_lines(shown))


def render_line(shown: Shown) -> str:
    """Return a case on one line."""
    return f"{shown.request}  {shown.state}  {shown.action} for {shown.asked_for}  {shown.target}"


def _lines(shown: Shown) -> Iterator[str]:
    yield _row("request", shown.request)
    yield _row("state", shown.status)
    yield _row("asked for", f"{shown.asked_for}, by the agent of {shown.workflow} in {shown.environment}")
    yield _row("action", f"{shown.action}: {shown.description}" if shown.description else shown.action)
    yield _row("target", shown.target)
    yield "will change"
    for change in shown.changes:
        yield f"  {change.what}"
        yield f"    now      {change.before}"
        yield f"    then     {change.after}{'' if change.differs else '   (the same)'}"
    yield from _block("inputs", shown.inputs)
    yield from _block("will call", shown.calls)
    yield "rationale, in the agent's words"
    yield from (f"  | {line}" for line in shown.rationale)
    yield _row("reversible", shown.reversible)
    yield _row("decided by", shown.deciders)
    yield _row("drafted", shown.drafted_at)
    yield _row("expires", f"{shown.expires_at} ({shown.expires_in})" if shown.open else shown.expires_at)
    for decision in shown.decisions:
        note = f" ({decision.note})" if decision.note else ""
        yield _row(decision.verdict, f"{decision.name} at {decision.at}{note}: {decision.reason}")
    yield from _block("outcome", shown.outcome)
    for warning in shown.warnings:
        yield _row("WARNING", warning)
    if shown.refusal:
        yield _row("you", f"may not decide: {shown.refusal}")
    yield _row("digest", shown.digest)


def _row(label: str, value: str) -> str:
    return f"{label:<{_WIDTH}} {value}"


def _block(label: str, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    if pairs:
        yield label
        yield from (f"  {name} = {value}" for name, value in pairs)
