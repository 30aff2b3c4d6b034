"""Splits patterns where a generic string says too little of them.

A generic string stands for all strings of a pattern. Where a `?` of another pattern tells lengths apart, or a
wildcard that stops at a colon tells apart how many colons there are, the pattern is split into several that leave
nothing open. That is seldom needed and multiplies patterns, so a search does it only when it found no answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.glob import ONE, ONE_IN_PART, ONES, STAR, STAR_IN_PART, STARS, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LIMIT: Final = 300
_MOST_COLONS: Final = 5


def split_finely(patterns: Sequence[str], against: Iterable[str], fineness: int) -> list[str]:
    """Split the patterns as far as those that they are compared with ask for.

    `fineness` is 0 for not at all, 1 for lengths, 2 for colons too. A pattern of which too many would come stays
    whole; that is less exact and never wrong.
    """
    against = set(against)
    found = list(patterns)
    if fineness > 1 and any(STAR_IN_PART in tokens or ONE_IN_PART in tokens for tokens in against):
        colons = min(_MOST_COLONS, max(tokens.count(":") for tokens in against))
        found = [part for tokens in found for part in split_colons(end_at_first_colon(tokens), colons, _LIMIT)]
    singles = max((longest_single_run(tokens) for tokens in against), default=0)
    if fineness and singles:
        found = [part for tokens in found for part in split_lengths(tokens, singles, _LIMIT)]
    return list(dict.fromkeys(found))


def end_at_first_colon(tokens: str) -> str:
    """Write the same pattern with stars that stop at the colon after them, where another star takes the rest."""
    while (STAR + ":" + STAR) in tokens:
        tokens = tokens.replace(STAR + ":" + STAR, STAR_IN_PART + ":" + STAR, 1)
    return tokens


def split_colons(tokens: str, depth: int, limit: int) -> list[str]:
    """Split a pattern by the colons that its stars stand for: 0, 1, … `depth` and more; a single one is one or not."""
    places = sum(tokens.count(character) for character in (STAR, ONE))
    if not places or (depth + 1) ** places > limit:
        return [tokens]
    forms = {
        STAR: [
            *(":".join([STAR_IN_PART] * (count + 1)) for count in range(depth)),
            (STAR_IN_PART + ":") * depth + STAR,
        ],
        ONE: [ONE_IN_PART, ":"],
    }
    return _spell_out(tokens, forms)


def longest_single_run(tokens: str) -> int:
    """Return how many single-character wildcards stand in a row at most."""
    longest = length = 0
    for character in tokens:
        length = length + 1 if character in ONES else 0
        longest = max(longest, length)
    return longest


def split_lengths(tokens: str, depth: int, limit: int) -> list[str]:
    """Split a pattern by the lengths that its stars stand for: 0, 1, … `depth` and more.

    A `?` of another pattern tells lengths apart that a star leaves open. Returns the pattern itself where more
    than `limit` patterns would come of it.
    """
    places = [place for place, character in enumerate(tokens) if character in STARS]
    if not places or (depth + 1) ** len(places) > limit:
        return [tokens]
    forms = {
        star: [*(one * length for length in range(depth)), one * depth + star]
        for star, one in ((STAR, ONE), (STAR_IN_PART, ONE_IN_PART))
    }
    return _spell_out(tokens, forms)


def _spell_out(tokens: str, forms: dict[str, list[str]]) -> list[str]:
    found = [""]
    for character in tokens:
        found = [start + form for start in found for form in forms.get(character, [character])]
    return list(dict.fromkeys(normalize(text) for text in found))
