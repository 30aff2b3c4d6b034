"""Shows comparisons and answers as text for terminals, Markdown for a review, JSON for programs.

Everything shown may come from somebody's proposal: control characters never reach a terminal, and Markdown holds no
markup, link or mention but ours. This module must not judge.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from narrowgate.access.diff import Kind
from narrowgate.access.words import join_words, say_approval, say_requesters, say_times
from narrowgate.plan import Impact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from narrowgate.access.diff import Change, PlanComparison
    from narrowgate.access.query import Holder

# GitHub refuses a comment of more than 65,536 characters; some room is left for the frame.
MAX_MARKDOWN: Final = 60_000
JSON_VERSION: Final = 1


class Format(StrEnum):
    """How an answer is shown."""

    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"


def plain(text: str) -> str:
    """Return `text` on one line without control characters, which could write over what a terminal shows."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


_TICKS: Final = re.compile(r"`+")


def code_span(text: str) -> str:
    """Return `text` as a Markdown code span, in which there is no markup, no HTML, no link and no mention of anybody.

    The fence is longer than any run of backticks in the text, so that the text cannot end it (CommonMark 6.1).
    """
    shown = plain(text).strip() or "-"
    fence = "`" * (1 + max((len(run) for run in _TICKS.findall(shown)), default=0))
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown}{room}{fence}"


# Comparisons ----------------------------------------------------------------------------------------------------------

_SECTIONS: Final = (("Gains", "gains"), ("Loses", "losses"), ("Also changed", "notes"))
_UNDECIDED: Final = "(not decided, so it counts as new access)"


def verdict(comparison: PlanComparison) -> str:
    """Return the answer in one sentence."""
    gains = comparison.gains
    if not gains:
        less = f" It has less in {count(len(comparison.losses), 'place')}." if comparison.losses else ""
        return f"No new access: proven for every grant, requester, time and approval.{less}"
    high = sum(change.impact is Impact.HIGH for change in gains)
    undecided = sum(change.kind is Kind.UNDECIDED for change in gains)
    parts = [f"{high} of high impact"] if high else []
    parts += [f"{undecided} not decided"] if undecided else []
    return f"New access: {count(len(gains), 'change')}{f' ({join_words(parts)})' if parts else ''}."


def count(number: int, noun: str) -> str:
    """Return `1 change`, `2 changes`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def render_comparison(comparison: PlanComparison, form: Format) -> str:
    """Return a comparison in one of the formats; ends in a line feed."""
    if form is Format.JSON:
        return write_json(describe_comparison(comparison))
    lines = _markdown_lines(comparison) if form is Format.MARKDOWN else _text_lines(comparison)
    return "\n".join(lines) + "\n"


def describe_comparison(comparison: PlanComparison) -> dict[str, Any]:
    """Return a comparison as JSON-ready values; `no_new_access` is true, false or null (not decided)."""
    return {
        "version": JSON_VERSION,
        "old": comparison.old,
        "new": comparison.new,
        "no_new_access": comparison.no_new_access,
        "verdict": verdict(comparison),
        **{name: [_describe_change(change) for change in getattr(comparison, name)] for _, name in _SECTIONS},
        "unchanged": list(comparison.unchanged),
    }


def _describe_change(change: Change) -> dict[str, Any]:
    return {**asdict(change), "actions": list(change.actions)}


def _text_lines(comparison: PlanComparison) -> Iterator[str]:
    for title, name in _SECTIONS:
        changes: tuple[Change, ...] = getattr(comparison, name)
        if not changes:
            continue
        yield title.upper()
        for workflow, group in _by_workflow(changes):
            yield f"  {plain(workflow) or 'the whole environment'}"
            for change in group:
                yield from _text_change(change)
        yield ""
    if comparison.unchanged:
        yield f"UNCHANGED\n  {count(len(comparison.unchanged), 'workflow')}: {_some(comparison.unchanged)}\n"
    yield verdict(comparison)


def _text_change(change: Change) -> Iterator[str]:
    sign = "!" if change.impact is Impact.HIGH and change.kind is not Kind.NOTE else "-"
    where = f"{plain(change.where)}: " if change.where else ""
    mark = f" {_UNDECIDED}" if change.kind is Kind.UNDECIDED else ""
    yield f"    {sign} {where}{plain(change.words)}{mark}"
    if _has_example(change):
        yield f"        for example: {plain(change.witness or '')}"


def _has_example(change: Change) -> bool:
    """Say whether to show a request that shows the change: for what is lost, words are enough."""
    return change.witness is not None and change.kind is not Kind.LOSS


def _by_workflow(changes: Sequence[Change]) -> list[tuple[str, list[Change]]]:
    """Group changes, in the order of their first; what concerns the whole workflow stands before its tools."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.workflow, []).append(change)
    return [(workflow, sorted(group, key=lambda change: bool(change.tool))) for workflow, group in groups.items()]


def _some(names: Sequence[str], most: int = 10) -> str:
    shown = ", ".join(plain(name) for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _markdown_lines(comparison: PlanComparison) -> list[str]:
    """Return the comment: verdict first; what does not fit is counted, never silently left out."""
    lines = [f"### Access of {code_span(comparison.new)}", "", f"**{verdict(comparison)}**", ""]
    end = _markdown_unchanged(comparison)
    size = sum(len(line) + 1 for line in (*lines, *end))
    left_out = 0
    for line in _markdown_changes(comparison):
        if left_out or size + len(line) + 1 > MAX_MARKDOWN:
            left_out += line.startswith("- ")
            continue
        size += len(line) + 1
        lines.append(line)
    if left_out:
        lines += ["", f"**{count(left_out, 'more change')} not shown here: run `narrowgate access diff`.**", ""]
    return [*lines, *end]


def _markdown_changes(comparison: PlanComparison) -> Iterator[str]:
    for title, name in _SECTIONS:
        changes: tuple[Change, ...] = getattr(comparison, name)
        if not changes:
            continue
        yield f"#### {title}"
        yield ""
        for workflow, group in _by_workflow(changes):
            yield code_span(workflow) if workflow else "The whole environment"
            yield ""
            yield from (_markdown_change(change) for change in group)
            yield ""


def _markdown_change(change: Change) -> str:
    high = "**high impact** " if change.impact is Impact.HIGH and change.kind is not Kind.NOTE else ""
    where = f"{code_span(change.where)}: " if change.where else ""
    mark = f" *{_UNDECIDED}*" if change.kind is Kind.UNDECIDED else ""
    example = f"<br>for example {code_span(change.witness or '')}" if _has_example(change) else ""
    return f"- {high}{where}{code_span(change.words)}{mark}{example}"


def _markdown_unchanged(comparison: PlanComparison) -> list[str]:
    if not comparison.unchanged:
        return []
    return [f"Unchanged: {count(len(comparison.unchanged), 'workflow')}."]


# Answers --------------------------------------------------------------------------------------------------------------


def render_holders(holders: Sequence[Holder], form: Format) -> str:
    """Return who can, as text or JSON."""
    if form is Format.JSON:
        return write_json({"version": JSON_VERSION, "holders": [_describe_holder(holder) for holder in holders]})
    if not holders:
        return "Nobody.\n"
    return "".join(f"{line}\n" for holder in holders for line in _holder_lines(holder))


def _describe_holder(holder: Holder) -> dict[str, Any]:
    return {**asdict(holder), "requesters": list(holder.requesters)}


def _holder_lines(holder: Holder) -> Iterator[str]:
    through = f" by {holder.tool}.{holder.action}" if holder.tool else ""
    gate = f"only after {say_approval(holder.approval)}" if holder.gated else "without approval"
    times = say_times(holder.ttl_seconds, holder.max_ttl_seconds)
    yield plain(f"{holder.workflow}{through}, {gate}, for {times}, on behalf of {say_requesters(holder.requesters)}")
    yield plain(f"    {holder.words}")


def write_json(value: object) -> str:
    """Return JSON text with a line feed at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def render_lines(lines: Iterable[str], style: Callable[[str], str] = plain) -> str:
    """Return lines one below the other."""
    return "".join(f"{style(line)}\n" for line in lines)
