"""Unknowns, secrets and numbers on their way between engine and provider."""

from __future__ import annotations

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from rehearsal.doubles.wire import SECRET, SIGNATURE, UNKNOWN, dump, has_unknown, load, secret_names

JSON = st.recursive(
    st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "b", "c"])


def secret(value: object) -> dict[str, object]:
    return {SIGNATURE: SECRET, "value": value}


@given(st.dictionaries(NAMES, JSON), st.frozensets(NAMES))
def test_marked_values_come_back_whole_and_marked(values: dict[str, object], marked: frozenset[str]) -> None:
    struct = dump(values, marked)
    assert load(struct) == values
    assert secret_names(struct) == marked & values.keys()


def test_none_is_left_out() -> None:
    assert load(dump({"a": None, "b": 0, "c": ""})) == {"b": 0, "c": ""}


def test_secret_inside_a_property_is_marked_alone_and_taken_out() -> None:
    struct = dump({"block": {"user": "u", "password": "p"}, "other": 1}, ["block.password", "gone", "other.password"])
    assert json_format.MessageToDict(struct) == {"block": {"user": "u", "password": secret("p")}, "other": 1.0}
    assert secret_names(struct) == {"block"}
    assert load(struct) == {"block": {"user": "u", "password": "p"}, "other": 1}


def test_secret_property_hides_what_is_inside() -> None:
    struct = dump({"block": {"password": "p"}}, ["block", "block.password"])
    assert json_format.MessageToDict(struct)["block"][SIGNATURE] == SECRET
    assert load(struct) == {"block": {"password": "p"}}


def test_secret_in_a_list_marks_its_property() -> None:
    struct = dump({"list": [1, {"x": secret("p")}]})
    assert secret_names(struct) == {"list"}
    assert load(struct) == {"list": [1, {"x": "p"}]}


def test_unknown_is_found_however_deep() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": "known"}], "c": 1})
