"""Glob patterns as IAM reads them, and the little algebra that a comparison needs.

A compiled pattern is a plain string in which a wildcard is one private-use character. A *generic* string is the
same thing seen from the other side: it stands for every string of a pattern at once, because its private-use
characters are matched by wildcards that are at least as wide and by nothing else. So `matches(q, generic(p))`
says that every string of `p` is a string of `q`, with no automaton and no solver.

Two kinds of wildcard exist: those that match any character, and those that stop at a colon (the parts of an ARN).
This module knows nothing of policies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

RESERVED: Final = "\U0010f000"
"""No policy and no request may hold a character from here on (AWS itself takes none of them)."""

VARIABLE: Final = "\U0010f000"
"""One policy variable; `bound_variable` numbers them from the character after it."""

STAR: Final = "\U0010ff00"
STAR_IN_PART: Final = "\U0010ff01"
ONE: Final = "\U0010ff02"
ONE_IN_PART: Final = "\U0010ff03"

RUN: Final = "\U0010ff10"
RUN_IN_PART: Final = "\U0010ff11"
FRESH: Final = "\U0010ff12"
FRESH_IN_PART: Final = "\U0010ff13"

STARS: Final = frozenset((STAR, STAR_IN_PART))
ONES: Final = frozenset((ONE, ONE_IN_PART))
_WILDCARDS: Final = STARS | ONES
_TO_GENERIC: Final = {ord(STAR): RUN, ord(STAR_IN_PART): RUN_IN_PART, ord(ONE): FRESH, ord(ONE_IN_PART): FRESH_IN_PART}
_FIRST_RUN: Final = RUN
_MEET_LIMIT: Final = 256
_LONGEST_MEET: Final = 400


def bound_variable(number: int) -> str:
    """Return the character that stands for policy variable `number` (from 0) while two policies are compared."""
    return chr(ord(VARIABLE) + 1 + number)


def is_variable(character: str) -> bool:
    """Say whether the character stands for a policy variable."""
    return VARIABLE <= character < STAR


def is_literal(tokens: str) -> bool:
    """Say whether the pattern matches one string only."""
    return not any(wildcard in tokens for wildcard in _WILDCARDS)


def normalize(tokens: str) -> str:
    """Give equal patterns an equal form: in each run of wildcards the single ones first, then at most one star."""
    if not any(star in tokens for star in STARS):
        return tokens
    pieces: list[str] = []
    singles: list[str] = []
    star = ""
    for character in tokens:
        if character in ONES:
            singles.append(character)
        elif character in STARS:
            star = STAR if STAR in (star, character) else character
        else:
            pieces += [*singles, star, character]
            singles, star = [], ""
    return "".join([*pieces, *singles, star])


def generic(tokens: str) -> str:
    """Return the string that stands for all strings of the pattern."""
    return tokens.translate(_TO_GENERIC)


def fill(text: str, run: str, fresh: str) -> str:
    """Make a concrete string of a generic one: `run` for a run, `fresh` for a single character.

    A run that stays in its part gets `run` without its colons.
    """
    for symbol, value in ((RUN, run), (RUN_IN_PART, run.replace(":", "")), (FRESH, fresh), (FRESH_IN_PART, fresh)):
        text = text.replace(symbol, value)
    return text


def matches(tokens: str, text: str) -> bool:
    """Say whether the pattern matches the whole text, which may be a request's or a generic string."""
    plan = _plan(tokens)
    if plan is None:
        return tokens == text
    if isinstance(plan, _Automaton):
        return plan.accepts(text)
    if len(plan) == 1:
        return True
    head, *middle, tail = plan
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    position, end = len(head), len(text) - len(tail)
    for piece in middle:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True


class _Automaton:
    """A pattern with single-character or part-bound wildcards, run as a set of positions held in one integer."""

    __slots__ = ("_final", "_literal", "_one", "_one_in_part", "_star", "_star_in_part", "_stars")

    def __init__(self, tokens: str) -> None:
        self._literal: dict[str, int] = {}
        masks = dict.fromkeys(_WILDCARDS, 0)
        for position, token in enumerate(tokens):
            if token in _WILDCARDS:
                masks[token] |= 1 << position
            else:
                self._literal[token] = self._literal.get(token, 0) | 1 << position
        self._star, self._star_in_part = masks[STAR], masks[STAR_IN_PART]
        self._one, self._one_in_part = masks[ONE], masks[ONE_IN_PART]
        self._stars = self._star | self._star_in_part
        self._final = 1 << len(tokens)

    def accepts(self, text: str) -> bool:
        """Say whether some way through the pattern consumes the whole text."""
        states = self._skip_stars(1)
        for character in text:
            step = self._literal.get(character, 0)
            stay = self._star
            if character < VARIABLE:
                step |= self._one
                if character != ":":
                    step |= self._one_in_part
                    stay |= self._star_in_part
            elif character == FRESH_IN_PART:
                step |= self._one | self._one_in_part
                stay |= self._star_in_part
            elif character == FRESH:
                step |= self._one
            elif character == RUN_IN_PART:
                stay |= self._star_in_part
            states = self._skip_stars(((states & step) << 1) | (states & stay))
            if not states:
                return False
        return bool(states & self._final)

    def _skip_stars(self, states: int) -> int:
        while more := ((states & self._stars) << 1) & ~states:
            states |= more
        return states


@lru_cache(maxsize=65536)
def _plan(tokens: str) -> list[str] | _Automaton | None:
    """Choose the cheapest exact way to match: equality, the pieces between stars, or an automaton."""
    if STAR_IN_PART in tokens or ONE in tokens or ONE_IN_PART in tokens:
        return _Automaton(tokens)
    if STAR not in tokens:
        return None
    pieces = tokens.split(STAR)
    return [""] if pieces == ["", ""] else pieces


def covers(wide: str, narrow: str) -> bool:
    """Say whether every string of `narrow` is a string of `wide` (never wrongly yes)."""
    return matches(wide, generic(narrow))


@lru_cache(maxsize=16384)
def meet(left: str, right: str) -> tuple[str, ...]:
    """Return patterns that together match every string that both match (and, but for a bound, no other)."""
    if _heads_differ(left, right) or (is_literal(left) and is_literal(right)):
        return (left,) if left == right else ()
    if covers(left, right):
        return (right,)
    if covers(right, left):
        return (left,)
    head, tail = _common_ends(left, right)
    ending = left[len(left) - tail :]
    first, second = left[head : len(left) - tail], right[head : len(right) - tail]
    if len(first) + len(second) > _LONGEST_MEET:
        return (left,)
    found = _Meeting(first, second).suffixes(0, 0)
    if found is None:
        return (left,)
    return widest(normalize(left[:head] + tokens + ending) for tokens in found)


def _common_ends(left: str, right: str) -> tuple[int, int]:
    """Return how many literal characters the patterns share at their beginning and, of what is left, at their end."""
    shortest = min(len(left), len(right))
    head = 0
    while head < shortest and left[head] == right[head] and left[head] < VARIABLE:
        head += 1
    tail = 0
    while tail < shortest - head and left[-1 - tail] == right[-1 - tail] and left[-1 - tail] < VARIABLE:
        tail += 1
    return head, tail


def _heads_differ(left: str, right: str) -> bool:
    """Say whether the patterns begin with different literal texts, so that no string can match both."""
    for x, y in zip(left, right, strict=False):
        if x >= VARIABLE or y >= VARIABLE:
            return False
        if x != y:
            return True
    return False


def widest(patterns: Iterable[str]) -> tuple[str, ...]:
    """Drop every pattern that another one covers."""
    kept: list[str] = []
    for tokens in sorted(set(patterns), key=lambda text: (len(text), text)):
        if not any(covers(other, tokens) for other in kept):
            kept = [other for other in kept if not covers(tokens, other)]
            kept.append(tokens)
    return tuple(kept)


class _Meeting:
    """The intersection of two patterns, worked out from both ends of what is left of each."""

    def __init__(self, left: str, right: str) -> None:
        self._left, self._right = left, right
        self._known: dict[tuple[int, int], frozenset[str] | None] = {}

    def suffixes(self, i: int, j: int) -> frozenset[str] | None:
        """Return the common patterns of `left[i:]` and `right[j:]`, or None past the bound."""
        if (i, j) not in self._known:
            found: set[str] = set()
            for first, after_left, after_right in self._steps(i, j):
                rest = self.suffixes(after_left, after_right)
                if rest is None or len(found) > _MEET_LIMIT:
                    self._known[i, j] = None
                    return None
                found.update(normalize(first + suffix) for suffix in rest)
            if i == len(self._left) and j == len(self._right):
                found.add("")
            self._known[i, j] = frozenset(found)
        return self._known[i, j]

    def _steps(self, i: int, j: int) -> list[tuple[str, int, int]]:
        """List what the common string may begin with, and where that leaves both patterns."""
        x = self._left[i] if i < len(self._left) else ""
        y = self._right[j] if j < len(self._right) else ""
        if x in STARS and y in STARS:
            star = STAR_IN_PART if STAR_IN_PART in (x, y) else STAR
            return [(star, i + 1, j), (star, i, j + 1)]
        if x in STARS:
            return [("", i + 1, j), *((first, i, j + 1) for first in _under(x, y))]
        if y in STARS:
            return [("", i, j + 1), *((first, i + 1, j) for first in _under(y, x))]
        return [(first, i + 1, j + 1) for first in _both(x, y)]


def _under(star: str, other: str) -> list[str]:
    """Return what is left of one non-star token under a star that consumes it."""
    if not other or (star == STAR_IN_PART and other == ":"):
        return []
    return [ONE_IN_PART if star == STAR_IN_PART and other == ONE else other]


def _both(x: str, y: str) -> list[str]:
    """Return the common part of two non-star tokens."""
    if not x or not y:
        return []
    if x in ONES and y in ONES:
        return [ONE_IN_PART if ONE_IN_PART in (x, y) else ONE]
    if x in ONES:
        x, y = y, x
    if y in ONES:
        return [] if y == ONE_IN_PART and x == ":" else [x]
    return [x] if x == y else []
