"""Reading policies: what is kept, what is refused, and the place that an error names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from narrowgate.access import vault
from narrowgate.access.vault.durations import SECOND
from narrowgate.access.vault.policy import PolicyNumber


def only_rule(text: str | bytes | dict[str, object]) -> vault.Rule:
    (rule,) = vault.parse(text, "p").rules
    return rule


def test_rules_keep_their_place_and_their_order() -> None:
    policy = vault.parse('# first\npath "a" { capabilities = ["read"] }\n\n  path "b/*" { policy = "deny" }\n', "Team")
    assert policy.name == "team"
    assert [(rule.path, rule.line, rule.column, rule.policy) for rule in policy.rules] == [
        ("a", 2, 1, "team"),
        ("b/*", 4, 3, "team"),
    ]
    assert str(policy.rules[1]) == 'team:4 path "b/*"'


@pytest.mark.parametrize(
    "text",
    [
        'path "x" { capabilities = ["read", "list"] }',
        'path "x" { capabilities = ["read", "list",], }',
        'path "x" { capabilities = [,"read",,"list"] }',
        'path "x" { "capabilities" = ["read"] capabilities = ["list"] }',
        'path "x" { policy = "read" }',
        '"path" "x" { /* c */ capabilities = ["read" // c\n, "list"] # c\n }',
        'path "\\x78" { capabilities = ["\\u0072ead", "lis\\164"] }',
        '{"path": {"x": {"capabilities": ["read", "list"]}}}',
        '{"path": [{"x": {"capabilities": ["read"]}}, {"x": {"capabilities": ["list"]}}]}',
        ' \n{"path": {"x": {"policy": "read", },}',
        {"path": {"x": {"capabilities": ["read", "list"]}}},
        b'path "x" { capabilities = ["read", "list"] }\r\n',
    ],
)
def test_ways_to_write_one_policy(text: str | bytes | dict[str, object]) -> None:
    acl = vault.access_list([vault.parse(text, "p")])
    assert vault.capabilities(acl, "x") == ("list", "read")


def test_attributes() -> None:
    rule = only_rule("""
        path "x" {
          comment = "why"
          capabilities = ["create"]
          allowed_parameters = { "Size" = ["a*", 1, true, ["n"]], "*" = [] }
          denied_parameters { "bad" = [] }
          required_parameters = ["ttl", 5]
          min_wrapping_ttl = "1m30s"
          max_wrapping_ttl = 120
          pagination_limit = "7"
          expiration = "2999-01-02T03:04:05Z"
        }
    """)
    permissions = rule.permissions
    assert rule.comment == "why"
    assert permissions.allowed_parameters == {"size": ("a*", PolicyNumber(1), True, ("n",)), "*": ()}
    assert permissions.denied_parameters == {"bad": ()}
    assert permissions.required_parameters == ("ttl", "5")
    assert (permissions.min_wrapping_ttl_ns, permissions.max_wrapping_ttl_ns) == (90 * SECOND, 120 * SECOND)
    assert permissions.pagination_limit == 7
    assert rule.expiration == datetime(2999, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_repeated_lists_grow_and_maps_merge() -> None:
    permissions = only_rule("""
        path "x" {
          allowed_parameters = { "a" = ["1"] }
          allowed_parameters = { "a" = ["2"], "b" = [] }
          capabilities = ["read"]
          policy = "write"
        }
    """).permissions
    assert permissions.allowed_parameters == {"a": ("1", "2"), "b": ()}
    assert permissions.capabilities == {"create", "read", "update", "delete", "list"}


def test_deny_hides_the_faults_after_it() -> None:
    rule = only_rule('path "x" { capabilities = ["read", "deny", "nonsense"] min_wrapping_ttl = "nonsense" }')
    assert rule.permissions.denied
    assert rule.permissions.capabilities == frozenset()


def test_expired_rule_is_left_out_and_its_faults_with_it() -> None:
    text = 'path "x/+*" { capabilities = ["nonsense"] expiration = "2020-01-01T00:00:00Z" }'
    assert vault.parse(text).rules == ()
    with pytest.raises(vault.VaultPolicyError, match="forbidden"):
        vault.parse(text, now=datetime(2019, 1, 1, tzinfo=UTC))


def test_control_group() -> None:
    group = only_rule("""
        path "x" {
          capabilities = ["read"]
          control_group = {
            ttl = "4h"
            self_auth_allowed = true
            factor "peers" {
              controlled_capabilities = ["read", "update"]
              identity { group_names = ["ops", "dev"] approvals = 2 }
            }
          }
        }
    """).permissions.control_group
    assert group is not None
    assert (group.ttl_ns, group.self_authorization) == (4 * 3600 * SECOND, True)
    assert group.factors == (vault.Factor("peers", ("ops", "dev"), 2, frozenset({"read", "update"})),)
    assert group.controls("read")
    assert not group.controls("list")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('path "x" {\n  capabilites = ["read"]\n}', (2, 3), "invalid key 'capabilites'"),
        ('paths "x" {}', (1, 1), "invalid key 'paths'"),
        ('path "x" { capabilities = ["raed"] }', (1, 1), "invalid capability 'raed'"),
        ('path "x" { capabilities = "read" }', (1, 27), "must be a list"),
        ('path "x" { capabilities = [true] }', (1, 28), "must be a string"),
        ('path "x" { policy = "admin" }', (1, 1), "invalid policy 'admin'"),
        ('\npath "x" { capabilities = ["read" "list"] }', (2, 35), "expected ','"),
        ('path "x" { capabilities = ["read"]', (1, 35), "expected"),
        ('path "x" { capabilities = ["re\nad"] }', (1, 28), "not terminated"),
        ('path "x" { capabilities = ["\\q"] }', (1, 29), "illegal escape"),
        ('path "x" { /* capabilities }', (1, 12), "not terminated"),
        ('path "x" { a = <<EOF\nno end\n }', (1, 16), "not terminated"),
        ('path "a/+*" {}', (1, 1), "forbidden"),
        ('path "a/{{b" {}', (1, 1), "unbalanced"),
        ('path "x" "y" = {}', (1, 14), "needs"),
        ('path "x" { min_wrapping_ttl = "2m" max_wrapping_ttl = "1m" }', (1, 1), "cannot be less"),
        ('path "x" { max_wrapping_ttl = "soon" }', (1, 1), "no duration"),
        ('path "x" { expiration = "soon" }', (1, 1), "RFC 3339"),
        ('path "x" { allowed_parameters = { "a" = "b" } }', (1, 41), "must be a list"),
        ('path "x" { allowed_parameters = { "a" = [] "A" = [] } }', (1, 1), "only in case"),
        ('path "x" = {}', (1, 10), "needs"),
        ('path "x" { capabilities = [<<END\nread\nEND\n] }', (1, 1), r"invalid capability 'read\\n'"),
        ('path "x" { control_group = {} }', (1, 12), "at least one factor"),
        ('path "x" { list_scan_response_keys_filter_path = "{{ .key }}" }', (1, 1), "list capability"),
        ('{"path": {"x": {"capabilities": ["read"], "foo": 1}}}', (1, 43), "invalid key 'foo'"),
        ('{"path": nothing}', (1, 10), "illegal word"),
        (b'path "x" {}\n\xff', (2, 1), "not UTF-8"),
        ("path \x00", (1, 6), "not allowed"),
    ],
)
def test_refusals_name_the_place(text: str | bytes, place: tuple[int, int], words: str) -> None:
    with pytest.raises(vault.VaultPolicyError, match=words) as caught:
        vault.parse(text, "p")
    assert (caught.value.line, caught.value.column) == place
    assert str(caught.value).startswith(f"p:{place[0]}:{place[1]}: ")
    assert caught.value.hint


def test_syntax_errors_are_told_from_refusals() -> None:
    with pytest.raises(vault.VaultPolicySyntaxError) as caught:
        vault.parse("path [")
    assert caught.value.code == "vault-policy-syntax"


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(vault.VaultPolicySyntaxError, match="nested deeper"):
        vault.parse('path "x" { allowed_parameters = { "a" = ' + "[" * 100_000)


@pytest.mark.parametrize(
    ("text", "accepting"),
    [
        ('path "x" { capabilities = ["scan"] }', {"any", "openbao"}),
        ('path "x" { capabilities = ["subscribe"] subscribe_event_types = ["a"] }', {"any", "vault"}),
        ('path "x" { pagination_limit = 1 }', {"any", "openbao"}),
        (
            'path "x" { control_group { factor "f" { identity { group_ids = ["i"] approvals = 1 } } } }',
            {"any", "vault"},
        ),
        ('path "x" { capabilities = ["patch"] }', {"any", "openbao", "vault"}),
    ],
)
def test_each_server_has_its_own_words(text: str, accepting: set[str]) -> None:
    for server in vault.Server:
        if server.value in accepting:
            assert len(vault.parse(text, server=server).rules) == 1
        else:
            with pytest.raises(vault.VaultPolicyError):
                vault.parse(text, server=server)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("<<EOF\n  a\n b\nEOF\n", "  a\n b\n"),
        ("<<EOF\na\n  EOF\n", "a\n  "),
        ("<<-EOF\n    a\n   b\n  EOF\n", "  a\n b\n"),
        ("<<-EOF\n a\n    b\n   EOF\n", " a\n    b\n"),
        ('"${ "a" { } } \\x41"', '${ "a" { } } A'),
        ('"\\u00e9\\101\\t"', "éA\t"),
    ],
)
def test_texts(text: str, value: str) -> None:
    assert only_rule(f'path "x" {{ comment = {text} }}').comment == value
