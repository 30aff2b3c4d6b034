"""All paths, sorted into the finitely many classes that a set of patterns can tell apart, one path for each class.

Two paths are of one class when the same patterns match them (and, for a path that ends in `/`, the same patterns
match it without that slash). Walks the segments from left to right and keeps the set of patterns that may still
match, so that paths with the same future are walked once. Must not know what the patterns grant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narrowgate.access.vault.acl import Pattern

Ids: TypeAlias = frozenset[int]

DEFAULT_BOUND = 50_000
_LETTERS = "xyzwvutsrqponmlkjihgfedcba0123456789"
_FIRST_UNUSUAL = 0x3B1  # further letters, should all of the above be taken


class TooManyClassesError(Exception):
    """The patterns tell more classes apart than the caller's bound; nothing is known about the rest."""


@dataclass(frozen=True, slots=True)
class PathClass:
    """A path, the patterns (by index) that match it, and those that match it without its last slash, if it has one."""

    path: str
    matched: Ids
    without_slash: Ids | None


@dataclass(frozen=True, slots=True)
class _State:
    path: str
    depth: int
    live: Ids  # may match a longer path
    satisfied: Ids  # prefixes that match this path and every longer one
    matched: Ids

    @property
    def key(self) -> tuple[int, Ids, Ids, Ids]:
        """Return what the paths that begin with this one depend on; `matched` counts for a slash that follows."""
        return self.depth if self.live else -1, self.live, self.satisfied, self.matched


def path_classes(patterns: Sequence[Pattern], bound: int = DEFAULT_BOUND) -> Iterator[PathClass]:
    """Yield one path for each class, every class at least once. Raises TooManyClassesError beyond `bound` states."""
    seen_states: set[tuple[int, Ids, Ids, Ids]] = set()
    seen_classes: set[tuple[Ids, Ids | None]] = set()
    start = _State("", 0, frozenset(range(len(patterns))), frozenset(), frozenset())
    waiting = [start]
    while waiting:
        state = waiting.pop()
        for child, is_empty in _children(state, patterns):
            without_slash = state.matched if is_empty else None
            if (child.matched, without_slash) not in seen_classes:
                seen_classes.add((child.matched, without_slash))
                yield PathClass(child.path, child.matched, without_slash)
            if child.key not in seen_states:
                seen_states.add(child.key)
                if len(seen_states) > bound:
                    raise TooManyClassesError
                waiting.append(child)


def _children(state: _State, patterns: Sequence[Pattern]) -> Iterator[tuple[_State, bool]]:
    by_literal: dict[str, list[int]] = {}
    any_segment: list[int] = []
    by_start: dict[str, list[int]] = {}
    for index in state.live:
        pattern = patterns[index]
        part = pattern.parts[state.depth]
        if pattern.is_prefix and state.depth == len(pattern.parts) - 1:
            by_start.setdefault(part, []).append(index)
        elif pattern.has_segments and part == "+":
            any_segment.append(index)
        else:
            by_literal.setdefault(part, []).append(index)
    for segment in _segments(state, by_literal, by_start):
        hits = [*by_literal.get(segment, ()), *any_segment]
        started = [index for start, found in by_start.items() if segment.startswith(start) for index in found]
        yield _advance(state, patterns, segment, hits, started), segment == "" and state.depth > 0


def _segments(state: _State, by_literal: dict[str, list[int]], by_start: dict[str, list[int]]) -> list[str]:
    """Return one segment for each class: every literal, beyond every start, and the empty one (a last slash)."""
    taken = [*by_literal, *by_start]
    found = dict.fromkeys(by_literal)
    for start in {"", *by_start}:
        found[start + _fresh(start, taken)] = None
    if state.depth > 0:
        found[""] = None
    else:
        found.pop("", None)  # the server drops leading slashes, so no path starts with an empty segment
    return list(found)


def _fresh(start: str, taken: list[str]) -> str:
    """Return a letter that follows `start` in none of the strings taken."""
    following = {text[len(start)] for text in taken if len(text) > len(start) and text.startswith(start)}
    for letter in _LETTERS:
        if letter not in following:
            return letter
    code = _FIRST_UNUSUAL
    while chr(code) in following:
        code += 1
    return chr(code)


def _advance(state: _State, patterns: Sequence[Pattern], segment: str, hits: list[int], started: list[int]) -> _State:
    depth = state.depth + 1
    ended = [index for index in hits if len(patterns[index].parts) == depth]
    live = frozenset(index for index in hits if len(patterns[index].parts) > depth)
    satisfied = state.satisfied.union(started)
    path = segment if state.depth == 0 else f"{state.path}/{segment}"
    return _State(path, depth, live, satisfied, satisfied.union(ended))
