"""On which line each statement of a policy starts, in its JSON text. Knows JSON's tokens and nothing of policies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]|\n')
_STEP: Final = {"{": 1, "[": 1, "}": -1, "]": -1}


def statement_lines(text: str, number: int) -> tuple[int, ...]:
    """Return the line (from 1) of each statement of the `number`th `Statement` element (from 0) in `text`.

    Empty where the text has no such element. The text must be JSON.
    """
    marks = _marks(text)
    for _ in range(number + 1):
        if not _skip_to_statement(marks):
            return ()
    line, mark = next(marks, (0, ""))
    if mark != "[":
        return (line,) if mark == "{" else ()
    lines: list[int] = []
    depth = 1
    for line, mark in marks:
        if mark == "{" and depth == 1:
            lines.append(line)
        depth += _STEP.get(mark, 0)
        if depth == 0:
            break
    return tuple(lines)


def _marks(text: str) -> Iterator[tuple[int, str]]:
    """Yield strings and punctuation with their lines."""
    line = 1
    for match in _TOKEN.finditer(text):
        if match.group() == "\n":
            line += 1
        else:
            yield line, match.group()


def _skip_to_statement(marks: Iterator[tuple[int, str]]) -> bool:
    """Go on to the value of the next key `Statement`; tell whether there is one."""
    before = ""
    for _, mark in marks:
        if mark == ":" and before == '"Statement"':
            return True
        before = mark
    return False
