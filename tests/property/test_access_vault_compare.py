"""`compare` against brute force: over small alphabets of paths, parameters, wrapping and identities."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrowgate.access import vault

if TYPE_CHECKING:
    from collections.abc import Iterable

CAPABILITIES = ("create", "read", "list", "scan", "sudo")
SEGMENTS = st.sampled_from(["a", "b", "ab", "+", ""])
TEMPLATES = st.sampled_from(["a", "b", "x", "+", "{{identity.entity.name}}", "a{{identity.entity.id}}"])


def patterns(segments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(segments, min_size=1, max_size=3).map("/".join)
    ending = st.sampled_from(["", "", "*", "/", "/*"])
    return st.tuples(body, ending).map("".join).filter(lambda path: "+*" not in path and path not in ("", "/"))


VALUES = ("a", "a*", "*a", "*b*", "b", True, ["a"], 1, "**", "*")
LISTS = st.dictionaries(st.sampled_from(["p", "q", "*"]), st.lists(st.sampled_from(VALUES), max_size=2), max_size=2)
APPROVERS = 'identity { group_names = ["g"] approvals = 1 }'
GATES = st.sampled_from([["read"], ["create"], ["read", "list"]]).map(
    lambda names: f'{{ factor "f" {{ controlled_capabilities = {json.dumps(names)} {APPROVERS} }} }}'
)
RESTRICTIONS = st.fixed_dictionaries(
    {},
    optional={
        "allowed_parameters": LISTS,
        "denied_parameters": LISTS,
        "required_parameters": st.lists(st.sampled_from(["p", "q"]), max_size=1),
        "min_wrapping_ttl": st.sampled_from([2, 3]),
        "max_wrapping_ttl": st.sampled_from([3, 4]),
        "pagination_limit": st.sampled_from([2, 3]),
        "control_group": GATES,
    },
)
GRANTED = st.lists(st.sampled_from([*CAPABILITIES, "deny"]), max_size=3)
Rules = list[tuple[str, dict[str, Any]]]


def rules(paths: st.SearchStrategy[str], restrictions: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[Rules]:
    body = st.tuples(GRANTED, restrictions).map(lambda pair: {"capabilities": pair[0], **pair[1]})
    return st.lists(st.tuples(paths, body), min_size=1, max_size=4)


def pairs(rule_lists: st.SearchStrategy[Rules]) -> st.SearchStrategy[tuple[Rules, Rules]]:
    """Return pairs of which half differ in one rule, since most independent ones are far apart."""
    alike = st.tuples(rule_lists, rule_lists).map(lambda pair: (pair[0], [*pair[0][1:], pair[1][0]]))
    return st.one_of(alike, st.tuples(rule_lists, rule_lists))


def to_hcl(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{name}" = {json.dumps(members)}' for name, members in value.items()) + " }"
    return value if isinstance(value, str) else json.dumps(value)


def to_policy(listed: Rules) -> vault.Policy:
    """Return the policy; written as HCL, since the server's JSON has no lists within lists."""
    lines = (
        f'path "{path}" {{ {" ".join(f"{name} = {to_hcl(value)}" for name, value in body.items())} }}'
        for path, body in listed
    )
    return vault.parse("\n".join(lines))


def level(acl: vault.AccessList, path: str, capability: str, data: dict[str, Any], wrap: float | None) -> int:
    decision = vault.decide(acl, path, capability, data, wrap_ttl=wrap, sudo_required=False)
    return 2 if decision.allowed else int(decision.gated)


def find_by_force(
    old: vault.AccessList, new: vault.AccessList, paths: Iterable[str], asks: list[tuple[dict[str, Any], float | None]]
) -> tuple[Any, ...] | None:
    for path, capability in itertools.product(paths, CAPABILITIES):
        if capability in ("list", "scan") and not path.endswith("/"):
            continue  # no such request reaches a server
        for data, wrap in asks:
            granted = level(new, path, capability, data, wrap)
            if granted and granted > level(old, path, capability, data, wrap):
                return path, capability, data, wrap
    return None


def check(old: Rules, new: Rules, found: tuple[Any, ...] | None) -> None:
    comparison = vault.compare(to_policy(old), to_policy(new))
    if comparison.no_new_access:
        assert found is None
    if comparison.no_new_access is False:
        witness = comparison.witness
        assert witness is not None
        wrap = None if witness.wrap_ttl_ns is None else witness.wrap_ttl_ns / 1e9
        sides = [vault.access_list(to_policy(each), identity=witness.identity) for each in (old, new)]
        before, after = (level(acl, witness.path, witness.capability, witness.parameters, wrap) for acl in sides)
        assert after > before


def all_paths(names: Iterable[str], depth: int) -> list[str]:
    found = ("/".join(parts) for count in range(1, depth + 1) for parts in itertools.product(names, repeat=count))
    return [path for path in found if path and not path.startswith("/")]


DEEP = all_paths(["a", "b", "ab", "c", "bc", ""], 3)
DEEP += [f"{path}/" for path in DEEP if path.count("/") == 2]


@given(pairs(rules(patterns(SEGMENTS), st.just({}))))
@settings(max_examples=150)
def test_paths(pair: tuple[Rules, Rules]) -> None:
    old, new = pair
    sides = [vault.access_list(to_policy(each)) for each in pair]
    check(old, new, find_by_force(sides[0], sides[1], DEEP, [({}, None)]))


@pytest.mark.long
@given(pairs(rules(patterns(SEGMENTS), st.just({}))))
@settings(max_examples=6000)
def test_paths_long(pair: tuple[Rules, Rules]) -> None:
    old, new = pair
    sides = [vault.access_list(to_policy(each)) for each in pair]
    check(old, new, find_by_force(sides[0], sides[1], DEEP, [({}, None)]))


DATA: list[dict[str, Any]] = [
    {},
    *({name: value} for name in ("p", "q") for value in ("a", "ab", "b", "x", "xa", True, 1, ["a"])),
    {"z": "x"},
    {"*": "x"},
    {"p": "a", "q": "b"},
    {"p": "x", "q": True},
    {"p": "a", "z": 1},
    *({"limit": text} for text in ("1", "2", "3", "4", "max", "x")),
]
ASKS = list(itertools.product(DATA, [None, 0, 1, 2, 3, 4, 5]))
FEW_PATHS = ["a", "b", "a/", "a/b", "a/b/", "ab/c", "c"]


@given(pairs(rules(st.sampled_from(["a", "a/", "a*", "+", "a/+", "*"]), RESTRICTIONS)))
@settings(max_examples=60)
def test_requests(pair: tuple[Rules, Rules]) -> None:
    old, new = pair
    sides = [vault.access_list(to_policy(each)) for each in pair]
    check(old, new, find_by_force(sides[0], sides[1], FEW_PATHS, ASKS))


@pytest.mark.long
@given(pairs(rules(st.sampled_from(["a", "a/", "a*", "+", "a/+", "*"]), RESTRICTIONS)))
@settings(max_examples=3000)
def test_requests_long(pair: tuple[Rules, Rules]) -> None:
    old, new = pair
    sides = [vault.access_list(to_policy(each)) for each in pair]
    check(old, new, find_by_force(sides[0], sides[1], FEW_PATHS, ASKS))


NAMES = [None, "a", "b", "x", "ab", "ax", "z", "az"]
PEOPLE: list[dict[str, str]] = [
    {key: value for key, value in (("entity.name", name), ("entity.id", number)) if value is not None}
    for name, number in itertools.product(NAMES, [None, "b", "x", "z", "a"])
]
SHALLOW = all_paths(["a", "b", "x", "ab", "ax", "z", "az", "aa", "c"], 2)


@given(pairs(rules(patterns(TEMPLATES), st.just({}))))
@settings(max_examples=60)
def test_identities(pair: tuple[Rules, Rules]) -> None:
    old, new = pair
    found = None
    for person in PEOPLE:
        sides = [vault.access_list(to_policy(each), identity=person) for each in pair]
        found = found or find_by_force(sides[0], sides[1], SHALLOW, [({}, None)])
    check(old, new, found)


@given(rules(patterns(SEGMENTS), RESTRICTIONS))
@settings(max_examples=100)
def test_nothing_is_new_to_itself(listed: Rules) -> None:
    assert vault.compare(to_policy(listed), to_policy(listed)).no_new_access is True


@given(rules(patterns(SEGMENTS), st.just({})), patterns(SEGMENTS), st.sampled_from(CAPABILITIES))
@settings(max_examples=150)
def test_search_finds_what_there_is(listed: Rules, asked: str, capability: str) -> None:
    policy = to_policy(listed)
    acl = vault.access_list(policy)
    covering = vault.access_list(to_policy([(asked, {"capabilities": ["list", "read"]})]))
    within = "list" if capability in ("list", "scan") else "read"
    reachable = [
        path
        for path in DEEP
        if vault.decide(covering, path, within, sudo_required=False).allowed
        and (path.endswith("/") or within == "read")
        and vault.decide(acl, path, capability, sudo_required=False).allowed
    ]
    search = vault.find_request(policy, asked, capability)
    assert search.found is True or not reachable
    if search.found:
        assert search.witness is not None
        assert vault.decide(acl, search.witness.path, capability, sudo_required=False).allowed
