"""Deciding requests: which rule is found, how rules join, and what a request needs beside the capability."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from narrowgate.access import vault
from narrowgate.access.vault import Reason


def rules(*lines: str, name: str = "p") -> vault.Policy:
    """Return a policy of lines such as `a/* read,list`, with attributes after a semicolon."""
    text = ""
    for line in lines:
        path, _, rest = line.partition(" ")
        names, _, attributes = rest.partition(";")
        capabilities = ", ".join(f'"{item}"' for item in names.split(",") if item)
        text += f'path "{path}" {{ capabilities = [{capabilities}] {attributes} }}\n'
    return vault.parse(text, name)


@pytest.mark.parametrize(
    ("winner", "loser", "path"),
    [
        ("a/b", "a/b*", "a/b"),  # exact first
        ("a/b", "a/+", "a/b"),
        ("a/b/*", "a/*", "a/b/c"),  # the longer prefix
        ("a/b*", "a/+", "a/bc"),  # the later first wildcard
        ("a/b/+/d", "a/+/c/d", "a/b/c/d"),
        ("a/+", "a/*", "a/b"),  # not a prefix
        ("a/+/c", "a/+/c*", "a/b/c"),
        ("a/+/c/d", "a/+/+/d", "a/b/c/d"),  # fewer segments
        ("a/+/cd*", "a/+/c*", "a/b/cde"),  # the longer
        ("a/*", "a/+/*", "a/b/c"),  # fewer segments, though shorter
        ("+/b", "*", "a/b"),
    ],
)
def test_precedence(winner: str, loser: str, path: str) -> None:
    for order in ([winner, loser], [loser, winner]):
        policy = rules(*(f"{pattern} {'read' if pattern == winner else 'deny'}" for pattern in order))
        decision = vault.evaluate(policy, path, "read")
        assert decision.allowed
        assert decision.rule is not None
        assert decision.rule.path == winner


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/+/*", "a/b/", True),
        ("a/+/*", "a/b", False),
        ("a/b*c", "a/b*c", True),
        ("a/b*c", "a/bxc", False),
        ("a+/b", "a+/b", True),
        ("a+/b", "ax/b", False),
        ("a/+b*", "a/+bc/d", True),
        ("a/+b*", "a/xb", False),
        ("/a/b", "a/b", True),
        ("a/b", "/a/b", True),
        ("//a", "a", False),
        ("+", "a", True),
        ("*", "anything/at/all", True),
        ("a/B", "a/b", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:  # noqa: FBT001 - a column of the table
    assert vault.evaluate(rules(f"{pattern} read"), path, "read").allowed is matches


def test_deny_wins_within_its_path_only() -> None:
    policy = rules("a/* deny", "a/b read", "a/c read", "a/c deny")
    reasons = [vault.evaluate(policy, path, "read").reason for path in ("a/x", "a/b", "a/c", "z")]
    assert reasons == [
        Reason.EXPLICITLY_DENIED,
        Reason.ALLOWED,
        Reason.EXPLICITLY_DENIED,
        Reason.IMPLICITLY_DENIED,
    ]


def test_capabilities_add_up_over_policies_and_the_granting_rule_is_named() -> None:
    first, second = rules("a read", name="first"), rules("a update", "b list", name="second")
    decision = vault.evaluate([second, first], "a", "update")
    assert decision.allowed
    assert str(decision.rule) == 'second:1 path "a"'
    assert decision.merged is not None
    assert [rule.policy for rule in decision.merged.sources] == ["first", "second"]


@pytest.mark.parametrize(
    ("policy", "path", "expected"),
    [
        (rules("a/b list"), "a/b/", {"openbao", "vault"}),
        (rules("a/b/ list"), "a/b/", {"openbao", "vault"}),
        (rules("a/b/ list"), "a/b", set()),
        (rules("a/b list", "a/b/ read"), "a/b/", set()),
        (rules("a/+ list", "a/+/ read"), "a/b/", {"vault"}),  # the servers differ
        (rules("a/+ read", "a/+/ list"), "a/b/", {"openbao"}),
        (rules("a/b* list"), "a/b/", {"openbao", "vault"}),
    ],
)
def test_list_looks_without_the_last_slash_too(policy: vault.Policy, path: str, expected: set[str]) -> None:
    found = {
        server.value
        for server in (vault.Server.OPENBAO, vault.Server.VAULT)
        if vault.evaluate(policy, path, "list", server=server).allowed
    }
    assert found == expected
    assert not vault.evaluate(policy, path, "read").allowed or path.endswith("/")


@pytest.mark.parametrize(
    ("attributes", "data", "allowed"),
    [
        ('allowed_parameters = { "a" = ["x"] }', {}, True),
        ('allowed_parameters = { "a" = ["x"] }', {"a": "x"}, True),
        ('allowed_parameters = { "a" = ["x"] }', {"A": "x"}, True),
        ('allowed_parameters = { "a" = ["x"] }', {"a": "y"}, False),
        ('allowed_parameters = { "a" = ["x"] }', {"b": "x"}, False),
        ('allowed_parameters = { "a" = ["x"], "*" = [] }', {"b": "x"}, True),
        ('allowed_parameters = { "*" = ["x"] }', {"b": "y"}, True),
        ('allowed_parameters = { "a" = [] }', {"a": None}, True),
        ('allowed_parameters = { "a" = ["x*"] }', {"a": "xyz"}, True),
        ('allowed_parameters = { "a" = ["*x"] }', {"a": "yx"}, True),
        ('allowed_parameters = { "a" = ["*x*"] }', {"a": "yxy"}, True),
        ('allowed_parameters = { "a" = ["x*y"] }', {"a": "xzy"}, False),
        ('allowed_parameters = { "a" = ["*"] }', {"a": "x"}, False),
        ('allowed_parameters = { "a" = [1] }', {"a": 1}, False),
        ('allowed_parameters = { "a" = ["1"] }', {"a": 1}, False),
        ('allowed_parameters = { "a" = [true] }', {"a": True}, True),
        ('allowed_parameters = { "a" = [true] }', {"a": 1}, False),
        ('allowed_parameters = { "a" = [["x"]] }', {"a": ["x"]}, True),
        ('allowed_parameters = { "a" = [{ b = "x" }] }', {"a": {"b": "x"}}, True),
        ('allowed_parameters = { "a" = [{ b = { c = "x" } }] }', {"a": {"b": {"c": "x"}}}, False),
        ('denied_parameters = { "a" = [] }', {"a": "x"}, False),
        ('denied_parameters = { "a" = ["x"] }', {"a": "y"}, True),
        ('denied_parameters = { "*" = [] }', {"a": "y"}, False),
        ('denied_parameters = { "*" = [] }', {}, True),
        ('denied_parameters = { "a" = [] } allowed_parameters = { "a" = [] }', {"a": "y"}, False),
        ('required_parameters = ["A"]', {"a": "y"}, True),
        ('required_parameters = ["A"]', {"A": "y"}, False),
        ('required_parameters = ["a"]', {}, False),
    ],
)
def test_parameters(attributes: str, data: dict[str, Any], allowed: bool) -> None:  # noqa: FBT001 - a column
    policy = rules(f"a update,delete;{attributes}")
    decision = vault.evaluate(policy, "a", "update", data)
    assert decision.reason is (Reason.ALLOWED if allowed else Reason.PARAMETER_DENIED)
    assert vault.evaluate(policy, "a", "delete", data).allowed


def test_a_read_sends_its_parameters_as_texts() -> None:
    policy = rules('a read;allowed_parameters = { "n" = ["1", "true", ["x", "y"]] }')
    answers = [vault.evaluate(policy, "a", "read", {"n": value}).allowed for value in (1, True, ["1"], ["x", "y"])]
    assert answers == [True, True, True, False]


@pytest.mark.parametrize(
    ("first", "second", "data", "allowed"),
    [
        ("", 'allowed_parameters = { "a" = ["x"] }', {"b": "x"}, False),  # a restriction binds the whole path
        ('allowed_parameters = { "a" = ["x"] }', 'allowed_parameters = { "b" = ["x"] }', {"a": "x", "b": "x"}, True),
        ('allowed_parameters = { "a" = ["x"] }', 'allowed_parameters = { "a" = ["y"] }', {"a": "y"}, True),
        ('allowed_parameters = { "a" = ["x"] }', 'allowed_parameters = { "a" = [] }', {"a": "z"}, True),
        ('denied_parameters = { "a" = ["x"] }', 'denied_parameters = { "a" = [] }', {"a": "z"}, False),
        ('required_parameters = ["a"]', 'required_parameters = ["b"]', {"a": "x"}, False),
    ],
)
def test_joined_restrictions(first: str, second: str, data: dict[str, Any], allowed: bool) -> None:  # noqa: FBT001 - a column
    for pair in ((first, second), (second, first)):
        policies = [rules(f"a update;{text}", name=str(number)) for number, text in enumerate(pair)]
        assert vault.evaluate(policies, "a", "update", data).allowed is allowed


@pytest.mark.parametrize(
    ("attributes", "wrap_ttl", "allowed"),
    [
        ('min_wrapping_ttl = "1m"', None, False),
        ('min_wrapping_ttl = "1m"', 60, True),
        ('min_wrapping_ttl = "1m"', "59s", False),
        ('max_wrapping_ttl = "1m"', None, False),
        ('max_wrapping_ttl = "1m"', timedelta(minutes=1), True),
        ('max_wrapping_ttl = "1m"', 61.5, False),
        ('max_wrapping_ttl = "1m"', 0, True),  # seen on the server: asks for no wrapping, and passes
    ],
)
def test_wrapping(attributes: str, wrap_ttl: str | float | timedelta | None, allowed: bool) -> None:  # noqa: FBT001 - a column
    decision = vault.evaluate(rules(f"a read;{attributes}"), "a", "read", wrap_ttl=wrap_ttl)
    assert decision.reason is (Reason.ALLOWED if allowed else Reason.WRAPPING_REQUIRED)


def test_joined_wrapping_ttls_may_leave_nothing() -> None:
    policies = [rules("a read;max_wrapping_ttl = 10", name="x"), rules("a read;min_wrapping_ttl = 20", name="y")]
    assert all(not vault.evaluate(policies, "a", "read", wrap_ttl=ttl).allowed for ttl in (None, 0, 10, 15, 20))


@pytest.mark.parametrize(
    ("limit", "allowed"),
    [(None, True), ("2", True), ("0", True), ("max", True), ("3", False), ("-1", False), ("x", False)],
)
def test_pagination_limit(limit: str | None, allowed: bool) -> None:  # noqa: FBT001 - a column of the table
    data = {} if limit is None else {"limit": limit}
    assert vault.evaluate(rules("a/ list;pagination_limit = 2"), "a/", "list", data).allowed is allowed


GATE = (
    'control_group = { factor "f" { controlled_capabilities = ["read"] '
    'identity { group_names = ["g"] approvals = 2 } } }'
)


def test_gated_is_not_granted() -> None:
    policy = rules(f"a read,update;{GATE}")
    decision = vault.evaluate(policy, "a", "read")
    assert not decision.allowed
    assert decision.gated
    assert decision.detail == "held for approval by 2 of g"
    # A capability that the stanza grants and does not control is free.
    assert vault.evaluate(policy, "a", "update").allowed
    # A server that knows no control groups passes over the stanza.
    assert vault.evaluate(policy, "a", "read", control_groups=False).allowed


def test_gate_is_lost_behind_a_policy_that_sorts_first() -> None:
    gated = rules(f"a read;{GATE}", name="m-gated")
    assert vault.evaluate([rules("a read", name="a-free"), gated], "a", "read").allowed
    assert vault.evaluate([rules("a read", name="z-free"), gated], "a", "read").gated
    assert vault.evaluate([rules("a list", name="a-other"), gated], "a", "read").allowed


def test_templates() -> None:
    policy = rules("kv/{{identity.entity.name}}/* read", "kv/shared read")
    ann = {"entity.name": "ann"}
    assert vault.evaluate(policy, "kv/ann/x", "read", identity=ann).allowed
    assert not vault.evaluate(policy, "kv/bob/x", "read", identity=ann).allowed
    assert not vault.evaluate(policy, "kv/ann/x", "read").allowed
    assert vault.evaluate(policy, "kv/shared", "read").allowed
    wide = vault.evaluate(policy, "kv/shared", "read", identity={"identity.entity.name": "a*"})
    assert wide.reason is Reason.TEMPLATE_REFUSED
    assert "'*'" in wide.detail


def test_expiration() -> None:
    policy = rules('a read;expiration = "2999-01-01T00:00:00Z"')
    assert vault.evaluate(policy, "a", "read").allowed
    assert not vault.evaluate(policy, "a", "read", now=datetime(2999, 1, 2, tzinfo=UTC)).allowed


def test_root_policy() -> None:
    root = vault.parse("", "root")
    assert vault.evaluate(root, "sys/raw/x", "sudo").allowed
    with pytest.raises(vault.VaultPolicyError, match="other policies"):
        vault.evaluate([root, rules("a read")], "a", "read")


def test_sudo_paths() -> None:
    plain, sudo = rules("sys/raw/* read"), rules("sys/raw/* read,sudo")
    assert vault.evaluate(plain, "sys/raw/x", "read").reason is Reason.SUDO_REQUIRED
    assert vault.evaluate(sudo, "sys/raw/x", "read").allowed
    assert vault.evaluate(plain, "sys/raw/x", "read", sudo_required=False).allowed
    assert vault.evaluate(rules("pki/root read"), "pki/root", "read", sudo_required=True).reason is Reason.SUDO_REQUIRED


def test_questions_without_an_answer() -> None:
    with pytest.raises(vault.VaultRequestError, match="unknown capability 'write'"):
        vault.evaluate(rules("a read"), "a", "write")
    with pytest.raises(vault.VaultRequestError, match="wrap TTL"):
        vault.evaluate(rules("a read"), "a", "read", wrap_ttl="soon")


def test_policies_may_be_given_as_text() -> None:
    assert vault.evaluate(['path "a" { capabilities = ["read"] }'], "a", "read").allowed
