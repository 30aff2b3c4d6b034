"""Says whether two IAM patterns have anything in common. This module must not decide access."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# `${*}`, `${?}` and `${$}` are the characters themselves; any other variable may be anything.
_TOKEN: Final = re.compile(r"\$\{([*?$])\}|(\$\{[^}]*\}|\*)|(\?)|(.)", re.DOTALL)
_ANY: Final = "any"
_ONE: Final = "one"


@lru_cache(maxsize=65536)
def _tokens(pattern: str) -> tuple[str, ...]:
    """Return the characters of a pattern; a wildcard is `any` or `one`."""
    return tuple(
        _ANY if many else _ONE if one else escaped or plain for escaped, many, one, plain in _TOKEN.findall(pattern)
    )


@lru_cache(maxsize=65536)
def literal_length(pattern: str) -> int:
    """Return how many characters stand before the first wildcard or variable."""
    return next((n for n, character in enumerate(pattern) if character in "*?$"), len(pattern))


def overlap(left: str, right: str) -> bool:
    """Say whether some text matches both patterns, in which `*` is any text and `?` any one character."""
    one_length, other_length = literal_length(left), literal_length(right)
    prefix = min(one_length, other_length)
    if left[:prefix] != right[:prefix]:
        return False
    if one_length == len(left) and other_length == len(right):
        return left == right
    return _walk(_tokens(left[prefix:]), _tokens(right[prefix:]))


def _walk(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Say whether both sequences can be consumed together: a star stays while the other side moves, or is passed."""
    end = (len(one), len(other))
    seen = {(0, 0)}
    ahead = [(0, 0)]
    while ahead:
        i, j = ahead.pop()
        if (i, j) == end:
            return True
        mine = one[i] if i < end[0] else ""
        theirs = other[j] if j < end[1] else ""
        steps = []
        if _ANY in (mine, theirs):
            steps += [(i + 1, j)] if mine else []
            steps += [(i, j + 1)] if theirs else []
        elif mine and theirs and (mine == theirs or _ONE in (mine, theirs)):
            steps.append((i + 1, j + 1))
        for step in steps:
            if step not in seen:
                seen.add(step)
                ahead.append(step)
    return False
