"""The glob algebra against every short string of a small alphabet, and against regular expressions."""

from __future__ import annotations

import itertools
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.access.iam.glob import (
    ONE,
    ONE_IN_PART,
    STAR,
    STAR_IN_PART,
    covers,
    fill,
    generic,
    matches,
    meet,
    normalize,
)
from narrowgate.access.iam.splitting import end_at_first_colon, longest_single_run, split_colons, split_lengths

ALPHABET = "ab:"
STRINGS = ["".join(letters) for length in range(6) for letters in itertools.product(ALPHABET, repeat=length)]
FORMS = {STAR: ".*", STAR_IN_PART: "[^:]*", ONE: ".", ONE_IN_PART: "[^:]"}
PLAIN = st.text(alphabet=["a", "b", ":", STAR, ONE], max_size=5).map(normalize)
ANY = st.text(alphabet=["a", ":", STAR, STAR_IN_PART, ONE, ONE_IN_PART], max_size=5)


def language(tokens: str) -> set[str]:
    regular = re.compile("".join(FORMS.get(character, re.escape(character)) for character in tokens))
    return {text for text in STRINGS if regular.fullmatch(text)}


@settings(max_examples=300, deadline=None)
@given(ANY)
def test_matching_is_that_of_a_regular_expression(tokens: str) -> None:
    assert {text for text in STRINGS if matches(tokens, text)} == language(tokens)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=["a", "b", STAR, ONE], max_size=6))
def test_normalizing_keeps_the_language(tokens: str) -> None:
    assert language(normalize(tokens)) == language(tokens)


@settings(max_examples=300, deadline=None)
@given(ANY, ANY)
def test_a_pattern_that_covers_another_holds_all_its_strings(wide: str, narrow: str) -> None:
    if covers(wide, narrow):
        assert language(narrow) <= language(wide)


@settings(max_examples=300, deadline=None)
@given(PLAIN, PLAIN)
def test_split_by_length_covering_is_told_exactly(wide: str, narrow: str) -> None:
    parts = split_lengths(narrow, max(1, longest_single_run(wide)), 1000)
    if not all(covers(wide, part) for part in parts):
        longer = [fill(generic(narrow), run, fresh) for run in ("", "x", "yz" * 8) for fresh in "xy"]
        assert not (language(narrow) <= language(wide) and all(matches(wide, text) for text in longer))


@settings(max_examples=300, deadline=None)
@given(ANY.map(normalize), ANY.map(normalize))
def test_a_meet_holds_every_common_string_and_no_other(left: str, right: str) -> None:
    both = language(left) & language(right)
    met = set().union(*(language(tokens) for tokens in meet(left, right)))
    assert met == both


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.integers(1, 3))
def test_splitting_by_length_keeps_the_language(tokens: str, depth: int) -> None:
    parts = split_lengths(tokens, depth, 1000)
    assert set().union(*(language(part) for part in parts)) == language(tokens)


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.integers(1, 3))
def test_splitting_by_colons_keeps_the_language(tokens: str, depth: int) -> None:
    parts = split_colons(tokens, depth, 1000)
    assert set().union(*(language(part) for part in parts)) == language(tokens)


@settings(max_examples=200, deadline=None)
@given(ANY.map(normalize))
def test_ending_stars_at_the_first_colon_keeps_the_language(tokens: str) -> None:
    assert language(end_at_first_colon(tokens)) == language(tokens)
