"""The pure half of a double: what check completes and refuses, what differs, what a refresh takes for drift."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal.doubles.resource import DEFAULTS, Change, Failure, Live, ResourceType
from rehearsal.doubles.wire import UNKNOWN, Values


def _nothing(*_arguments: object) -> Any:  # noqa: ANN401 -- stands for every call of the server
    raise AssertionError("the pure half calls no server")


def make(**columns: Any) -> ResourceType[None]:  # noqa: ANN401 -- the columns of the table
    return ResourceType(create=_nothing, read=_nothing, update=_nothing, delete=_nothing, **columns)


NAMED = make(
    required=frozenset({"policy"}),
    replace=frozenset({"name"}),
    documents=frozenset({"policy"}),
    unordered=frozenset({"groups"}),
    known=frozenset({"name", "namePrefix", "policy", "groups", "path", "extra"}),
    absent={"extra": "off"},
    only_if_set=frozenset({"groups"}),
    named_by="name",
    defaults={"path": "/"},
)
OPEN = '{"Effect": "Allow", "Action": "*"}'
OPEN_OTHERWISE = '{"Action":"*","Effect":"Allow"}'


def test_check_adds_defaults_and_says_which() -> None:
    inputs, failures = NAMED.check("r", b"\x01\x02\x03\x04", {}, {"name": "n", "policy": OPEN})
    assert failures == []
    assert inputs == {"name": "n", "policy": OPEN, "path": "/", DEFAULTS: ["path"]}


def test_generated_name_depends_on_the_seed_and_is_kept() -> None:
    first, _ = NAMED.check("r", b"\x01\x02\x03\x04", {}, {"policy": OPEN})
    assert first["name"] == "r-0102030"
    again, _ = NAMED.check("r", b"\xff\xff\xff\xff", first, {"policy": OPEN})
    assert again["name"] == "r-0102030"
    fresh, _ = NAMED.check("r", b"\xff\xff\xff\xff", {}, {"policy": OPEN, "namePrefix": "p-"})
    assert fresh["name"] == "p-fffffff"


def test_chosen_name_is_not_kept_when_the_program_drops_it() -> None:
    inputs, _ = NAMED.check("r", b"\xaa\xaa\xaa\xaa", {"name": "chosen", "policy": OPEN}, {"policy": OPEN})
    assert inputs["name"] == "r-aaaaaaa"


@pytest.mark.parametrize(
    ("inputs", "properties"),
    [
        ({"name": "n"}, ["policy"]),
        ({"name": "n", "policy": "{"}, ["policy"]),
        ({"name": "n", "policy": OPEN, "inlinePolicy": "x"}, ["inlinePolicy"]),
        ({"name": "n", "policy": UNKNOWN}, []),
        ({"name": "n", "policy": f'{{"Resource": "{UNKNOWN}'}, []),
    ],
)
def test_check_refuses(inputs: Values, properties: list[str]) -> None:
    _, failures = NAMED.check("r", b"\x00", {}, inputs)
    assert [failure.property for failure in failures] == properties


def test_checks_of_a_type_come_last() -> None:
    kind = make(checks=(lambda inputs: [Failure("name", f"bad {inputs['name']}")],))
    assert kind.check("r", b"", {}, {"name": "x"})[1] == [Failure("name", "bad x")]


def test_mapping_becomes_a_document() -> None:
    inputs, _ = NAMED.check("r", b"", {}, {"name": "n", "policy": {"b": 1, "a": 2}})
    assert json.loads(inputs["policy"]) == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"policy": OPEN}, {"policy": OPEN_OTHERWISE}, []),
        ({"groups": ["a", "b"]}, {"groups": ["b", "a"]}, []),
        ({"groups": ["a"]}, {"groups": ["a", "a"]}, [Change("groups", "UPDATE", replace=False)]),
        ({"name": "a"}, {"name": "b"}, [Change("name", "UPDATE", replace=True)]),
        ({"extra": "on"}, {}, [Change("extra", "DELETE", replace=False)]),
        ({}, {"extra": "on"}, [Change("extra", "ADD", replace=False)]),
        ({"extra": UNKNOWN}, {"extra": UNKNOWN}, [Change("extra", "UPDATE", replace=False)]),
        ({DEFAULTS: ["a"]}, {DEFAULTS: []}, []),
    ],
)
def test_diff(old: Values, new: Values, changes: list[Change]) -> None:
    assert NAMED.diff(old, new) == changes


def test_ignored_changes_are_no_changes() -> None:
    assert NAMED.diff({"extra": "a"}, {"extra": "b"}, ["extra"]) == []


def test_type_without_update_replaces() -> None:
    fixed: ResourceType[None] = ResourceType(create=_nothing, read=_nothing, delete=_nothing)
    assert fixed.diff({"a": 1}, {"a": 2}) == [Change("a", "UPDATE", replace=True)]


SERVER: Values = {"name": "n", "policy": OPEN_OTHERWISE, "path": "/", "extra": "off", "groups": ["g"]}


def test_refresh_of_what_is_as_declared_changes_nothing() -> None:
    old = {"name": "n", "policy": OPEN, "path": "/", "password": "never read", DEFAULTS: ["path"]}
    assert NAMED.refresh(Live(SERVER), old) == old


@pytest.mark.parametrize(
    ("key", "value", "seen"),
    [
        ("policy", '{"Action": "iam:*"}', '{"Action": "iam:*"}'),
        ("extra", "on", "on"),
        ("path", "/other/", "/other/"),
    ],
)
def test_refresh_finds_what_somebody_changed(key: str, value: str, seen: str) -> None:
    old = {"name": "n", "policy": OPEN, "path": "/", DEFAULTS: ["path"]}
    refreshed = NAMED.refresh(Live({**SERVER, key: value}), old)
    assert refreshed[key] == seen
    assert [change.property for change in NAMED.diff(refreshed, old)] == [key]


def test_refresh_finds_what_somebody_removed() -> None:
    old = {"name": "n", "policy": OPEN, "extra": "on"}
    refreshed = NAMED.refresh(Live({**SERVER, "extra": None}), old)
    assert "extra" not in refreshed
    assert [change.kind for change in NAMED.diff(refreshed, old)] == ["ADD"]


def test_what_others_manage_counts_only_where_the_program_sets_it() -> None:
    assert "groups" not in NAMED.refresh(Live(SERVER), {"name": "n"})
    assert NAMED.refresh(Live(SERVER), {"name": "n", "groups": ["mine"]})["groups"] == ["g"]


def test_import_takes_all_but_defaults() -> None:
    assert NAMED.refresh(Live(SERVER), {}) == {"name": "n", "policy": OPEN_OTHERWISE, "groups": ["g"]}


def test_adopted_value_completes_what_was_read() -> None:
    kind = make(adopt=lambda read, old: {**read, "block": {**read["block"], "password": old["block"]["password"]}})
    old = {"block": {"user": "u", "password": "p"}}
    assert kind.refresh(Live({"block": {"user": "u"}}), old) == old
    assert kind.refresh(Live({"block": {"user": "x"}}), old) == {"block": {"user": "x", "password": "p"}}
