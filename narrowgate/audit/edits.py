"""The edit of a workflow's file that removes actions: which lines, and what then stands there.

The edited text is read again and must say exactly what was meant; where it does not, no text is offered. Pure: nothing
is written.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from narrowgate.declarations.errors import DeclarationError
from narrowgate.declarations.source import parse_source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.declarations.source import Source


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines `first` to `last` of a file become `text`: an empty one deletes them, None is left to a person."""

    first: int
    last: int
    text: str | None


def remove_actions(source: Source, actions: Iterable[tuple[str, str]]) -> list[Edit]:
    """Return the edits of a workflow's file that remove (tool, action) pairs, and what only they needed.

    A tool without actions goes, too, and so does an approval of an action that goes. The file must keep one action:
    else the workflow itself is what nobody uses.
    """
    gone = sorted(set(actions))
    lines = source.text.splitlines()
    changed: dict[int, str | None] = {}
    for tool in sorted({tool for tool, _ in gone}):
        _remove_from_tool(source, lines, changed, tool, {action for of, action in gone if of == tool})
    _remove_approvals(source, lines, changed, {f"{tool}.{action}" for tool, action in gone})
    if _reads_back(source, lines, changed, gone):
        return _join(changed)
    places = [source.locate(("tools", tool, "actions", _index(source, tool, action))) for tool, action in gone]
    return [Edit(place.line, place.line, None) for place in places]


def _index(source: Source, tool: str, action: str) -> int:
    return int(source.value["tools"][tool]["actions"].index(action))


def _remove_from_tool(
    source: Source, lines: list[str], changed: dict[int, str | None], tool: str, gone: set[str]
) -> None:
    actions = source.value["tools"][tool]["actions"]
    if set(actions) <= gone:
        _delete_block(source, lines, changed, ("tools", tool))
        return
    for index in reversed(range(len(actions))):  # from the right, so that columns to the left stay
        if actions[index] in gone:
            place = source.locate(("tools", tool, "actions", index))
            line = changed.get(place.line) or lines[place.line - 1]
            changed[place.line] = _cut(line, place.column - 1, actions[index])


def _cut(line: str, start: int, item: str) -> str | None:
    """Return `line` without the list's item at `start`, with its comma; None where it has the line to itself."""
    before, after = line[:start], line[start + len(item) :]
    if re.fullmatch(r"\s*-\s+", before):
        return None
    match = re.match(r"\s*,\s*", after)
    return before + after[match.end() :] if match else re.sub(r",\s*$", "", before) + after


def _remove_approvals(source: Source, lines: list[str], changed: dict[int, str | None], names: set[str]) -> None:
    approvals = source.value.get("approvals") or {}
    gone = names & approvals.keys()
    if gone and gone == approvals.keys():
        _delete_block(source, lines, changed, ("approvals",))
        return
    for name in gone:
        _delete_block(source, lines, changed, ("approvals", name))


def _delete_block(source: Source, lines: list[str], changed: dict[int, str | None], key_path: tuple[str, ...]) -> None:
    """Delete the lines of a key and of what belongs to it, which is indented deeper."""
    place = source.locate(key_path, key=True)
    end = place.line
    while end < len(lines) and lines[end].strip() and len(lines[end]) - len(lines[end].lstrip()) >= place.column:
        end += 1
    for number in range(place.line, end + 1):
        changed[number] = None


def _reads_back(source: Source, lines: list[str], changed: dict[int, str | None], gone: list[tuple[str, str]]) -> bool:
    text = "".join(f"{line}\n" for number, old in enumerate(lines, 1) if (line := changed.get(number, old)) is not None)
    try:
        return bool(parse_source(text, source.path).value == _expect(source.value, gone))
    except DeclarationError:
        return False


def _expect(value: Any, gone: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - a declaration
    wanted = copy.deepcopy(value)
    for tool, action in gone:
        held = wanted["tools"][tool]["actions"]
        held.remove(action)
        if not held:
            del wanted["tools"][tool]
        if "approvals" in wanted:
            wanted["approvals"].pop(f"{tool}.{action}", None)
    if "approvals" in wanted and not wanted["approvals"] and value["approvals"]:
        del wanted["approvals"]
    return wanted


def _join(changed: dict[int, str | None]) -> list[Edit]:
    """Return the changes as edits; deleted lines that follow each other are one."""
    edits: list[Edit] = []
    for number in sorted(changed):
        text = changed[number]
        if text is None and edits and edits[-1].text == "" and edits[-1].last == number - 1:
            edits[-1] = Edit(edits[-1].first, number, "")
        else:
            edits.append(Edit(number, number, "" if text is None else text))
    return edits
