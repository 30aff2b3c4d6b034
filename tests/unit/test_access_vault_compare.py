"""Proofs about Vault policies: pairs whose answer is known, and requests in reach."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from narrowgate.access import vault


def rule(path: str, capabilities: str, attributes: str = "") -> str:
    names = ", ".join(f'"{name}"' for name in capabilities.split(","))
    return f'path "{path}" {{ capabilities = [{names}] {attributes} }}\n'


def gate(approvals: int = 1, groups: str = '"g"', controlled: str = '"read"', more: str = "") -> str:
    return (
        f'control_group = {{ ttl = "1h" {more} factor "f" {{ controlled_capabilities = [{controlled}] '
        f"identity {{ group_names = [{groups}] approvals = {approvals} }} }} }}"
    )


WITHIN = {
    "same": (rule("a/*", "read"), rule("a/*", "read")),
    "nothing": ("", rule("a/*", "deny")),
    "narrower path": (rule("a/*", "read"), rule("a/b", "read") + rule("a/+/c*", "read")),
    "fewer capabilities": (rule("a", "read,list"), rule("a", "read")),
    "covered by two": (rule("a/b*", "read") + rule("a/+", "read"), rule("a/+", "read")),
    "hole in both": (rule("a/*", "read") + rule("a/x", "deny"), rule("a/*", "read") + rule("a/x", "deny")),
    "shadowed grant": ("", rule("a/+", "read").replace("a/+", "a/b*") + rule("a/b*", "deny")),
    "list below a prefix": (rule("a/b*", "list"), rule("a/b/", "list")),
    "parameters": (
        rule("a", "update", 'allowed_parameters = { "p" = ["x*"] }'),
        rule("a", "update", 'allowed_parameters = { "p" = ["xy", "xz*"] }'),
    ),
    "required": (
        rule("a", "update", 'required_parameters = ["p"]'),
        rule("a", "update", 'required_parameters = ["p", "q"] allowed_parameters = { "p" = [], "q" = [] }'),
    ),
    "unsatisfiable": (
        "",
        rule("a", "update", 'required_parameters = ["p"] denied_parameters = { "p" = [] }'),
    ),
    "wrapping": (rule("a", "read", "min_wrapping_ttl = 10"), rule("a", "read", "min_wrapping_ttl = 20")),
    "no wrapping fits": ("", rule("a", "read", "max_wrapping_ttl = 10") + rule("a", "read", "min_wrapping_ttl = 20")),
    "smaller pages": (rule("a", "list"), rule("a", "list", "pagination_limit = 5")),
    "gate added": (rule("a", "read"), rule("a", "read", gate())),
    "gate kept": (rule("a", "read", gate()), rule("a", "read", gate())),
    "gate made stricter": (rule("a", "read", gate(1, '"g", "h"')), rule("a", "read", gate(2, '"g"'))),
    "same template": (rule("a/{{identity.entity.id}}/*", "read"), rule("a/{{identity.entity.id}}/b", "read")),
    "template within": (rule("a/+/b", "read"), rule("a/{{identity.entity.name}}/b", "read")),
    "expires": (rule("a", "read"), rule("a", "read", 'expiration = "2999-01-01T00:00:00Z"')),
}


@pytest.mark.parametrize(("old", "new"), WITHIN.values(), ids=WITHIN.keys())
def test_no_new_access(old: str, new: str) -> None:
    comparison = vault.compare(old, new)
    assert comparison.no_new_access is True, comparison.reason
    assert comparison.witness is None


WIDER = {
    "new path": (rule("a/b", "read"), rule("a/+", "read"), "read", None),
    "new capability": (rule("a", "read"), rule("a", "read,update"), "update", "a"),
    "deny taken away": (rule("a/*", "read") + rule("a/x", "deny"), rule("a/*", "read"), "read", "a/x"),
    "deny overruled": (
        rule("a/*", "deny") + rule("a/b", "read"),
        rule("a/*", "deny") + rule("a/b", "read") + rule("a/b/c", "read"),
        "read",
        "a/b/c",
    ),
    "deny lost to a more exact rule": (rule("a/*", "read") + rule("a/b*", "deny"), rule("a/*", "read"), "read", None),
    "sudo": (rule("sys/raw/*", "read"), rule("sys/raw/*", "read,sudo"), "sudo", None),
    "list": (rule("a/b/", "read"), rule("a/b", "list"), "list", "a/b/"),
    "value": (
        rule("a", "update", 'allowed_parameters = { "p" = ["x*"] }'),
        rule("a", "update", 'allowed_parameters = { "p" = ["x*", "*y"] }'),
        "update",
        "a",
    ),
    "denied value": (
        rule("a", "update", 'denied_parameters = { "p" = ["x*"] }'),
        rule("a", "update", 'denied_parameters = { "p" = ["xy*"] }'),
        "update",
        "a",
    ),
    "other parameter": (
        rule("a", "update", 'allowed_parameters = { "p" = [] }'),
        rule("a", "update", 'allowed_parameters = { "p" = [], "*" = [] }'),
        "update",
        "a",
    ),
    "no longer required": (rule("a", "update", 'required_parameters = ["p"]'), rule("a", "update"), "update", "a"),
    "longer wrapping": (
        rule("a", "read", "max_wrapping_ttl = 10"),
        rule("a", "read", "max_wrapping_ttl = 20"),
        "read",
        "a",
    ),
    "larger pages": (
        rule("a", "list", "pagination_limit = 5"),
        rule("a", "list", "pagination_limit = 9"),
        "list",
        "a/",
    ),
    "two slashes": (rule("a/b", "list"), rule("a/b/", "list"), "list", "a/b//"),  # can be sent as %2F%2F
    "gate taken away": (rule("a", "read", gate()), rule("a", "read"), "read", "a"),
    "gate that does not control": (
        rule("a", "read", gate()),
        rule("a", "read,update", gate()),
        "update",
        "a",
    ),
    "root": (rule("a", "read"), None, "create", None),
    "template to literal": (rule("a/{{identity.entity.name}}", "read"), rule("a/bob", "read"), "read", "a/bob"),
    "template to another": (
        rule("a/{{identity.entity.name}}", "read"),
        rule("a/{{identity.entity.id}}", "read"),
        "read",
        None,
    ),
    "template meets a denied name": (
        rule("a/+", "read") + rule("a/bob", "deny"),
        rule("a/{{identity.entity.name}}", "read"),
        "read",
        "a/bob",
    ),
    "lasts longer": (rule("a", "read", 'expiration = "2999-01-01T00:00:00Z"'), rule("a", "read"), "read", "a"),
}


@pytest.mark.parametrize(("old", "new", "capability", "path"), WIDER.values(), ids=WIDER.keys())
def test_new_access_comes_with_a_request(old: str, new: str | None, capability: str, path: str | None) -> None:
    new_policy = vault.parse("", "root") if new is None else vault.parse(new)
    comparison = vault.compare(old, new_policy)
    assert comparison.no_new_access is False
    witness = comparison.witness
    assert witness is not None
    assert witness.capability == capability
    assert path in (None, witness.path)
    assert witness.old is not None
    wrap = None if witness.wrap_ttl_ns is None else f"{witness.wrap_ttl_ns}ns"
    for policies, expected in ((new_policy, True), (vault.parse(old), False)):
        decision = vault.evaluate(
            policies,
            witness.path,
            witness.capability,
            witness.parameters,
            wrap_ttl=wrap,
            identity=witness.identity,
            sudo_required=False,
            now=witness.at,
        )
        assert decision.allowed is expected


UNDECIDED = {
    "weaker gate": (rule("a", "read", gate(2)), rule("a", "read", gate(1)), "who approves"),
    "gate by others": (rule("a", "read", gate(1, '"g"')), rule("a", "read", gate(1, '"h"')), "who approves"),
    "gate by oneself": (
        rule("a", "read", gate()),
        rule("a", "read", gate(more="self_auth_allowed = true")),
        "approves",
    ),
    "lists unfiltered": (
        rule("a", "list", 'list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}"'),
        rule("a", "list"),
        "filter lists",
    ),
    "fewer methods": (rule("a", "read", 'mfa_methods = ["m"]'), rule("a", "read"), "MFA"),
    "two templates in one segment": (
        rule("a/{{identity.entity.id}}-{{identity.entity.name}}", "read"),
        rule("a/b", "read"),
        "two templates",
    ),
    "time": (rule("a/{{time.now}}", "read"), rule("a/{{time.now}}", "read"), "time"),
}


@pytest.mark.parametrize(("old", "new", "words"), UNDECIDED.values(), ids=UNDECIDED.keys())
def test_what_is_not_decided_is_said(old: str, new: str, words: str) -> None:
    comparison = vault.compare(old, new)
    assert comparison.no_new_access is None
    assert words in comparison.reason


def test_a_new_gated_request_is_new_access_of_its_own() -> None:
    comparison = vault.compare(rule("a", "list"), rule("a", "list") + rule("b", "read", gate()))
    assert comparison.no_new_access is False
    assert comparison.witness is not None
    assert comparison.witness.gated
    assert str(comparison.witness) == 'read "b" after approval'


def test_a_server_without_control_groups_is_compared_as_such() -> None:
    gated, free = rule("a", "read", gate()), rule("a", "read")
    assert vault.compare(gated, free, control_groups=False).no_new_access is True


def test_a_search_that_grows_too_large_is_given_up() -> None:
    many = "".join(rule(f"{'+/' * number}x{number}/*", "read") for number in range(12))
    comparison = vault.compare(many, many, bound=50)
    assert comparison.no_new_access is None
    assert "more than 50 kinds of paths" in comparison.reason


def test_root_beside_another_policy_is_not_decided() -> None:
    both = [vault.parse("", "root"), vault.parse(rule("a", "read"), "x")]
    assert vault.compare(rule("a", "read"), both).no_new_access is None


def test_find_request() -> None:
    policies = [rule("db/creds/+", "read") + rule("db/creds/admin", "deny"), rule("aws/*", "read", gate())]
    assert vault.find_request(policies, "db/creds/admin", "read").found is False
    reached = vault.find_request(policies, "db/*", ["read", "update"])
    assert reached.found is True
    assert reached.witness is not None
    assert reached.witness.path.startswith("db/creds/")
    held = vault.find_request(policies, "aws/sts/x", "read")
    assert held.found is False
    assert held.gated is not None
    assert vault.find_request(policies, "db/creds", "list").found is False
    assert vault.find_request(rule("db/creds", "list"), "db/creds", "list").found is True
    with pytest.raises(vault.VaultRequestError):
        vault.find_request(policies, "*", "write")


def test_find_request_for_templates() -> None:
    policy = rule("kv/{{identity.entity.name}}/x", "read")
    anyone = vault.find_request(policy, "kv/bob/*", "read")
    assert anyone.found is True
    assert anyone.witness is not None
    assert anyone.witness.identity == {"identity.entity.name": "bob"}
    assert vault.find_request(policy, "kv/bob/*", "read", identity={"entity.name": "ann"}).found is False


def test_effective_joins_and_orders() -> None:
    first = vault.parse(rule("a/*", "read") + rule("a/b", "list"), "first")
    second = vault.parse(rule("a/b", "update") + rule("a/{{identity.entity.id}}", "read"), "second")
    merged = vault.effective([first, second])
    assert [each.path for each in merged] == ["a/b", "a/{{identity.entity.id}}", "a/*"]
    assert merged[0].permissions.capabilities == {"list", "update"}
    assert [str(source) for source in merged[0].sources] == ['first:2 path "a/b"', 'second:1 path "a/b"']
    assert [each.path for each in vault.effective([second], identity={"entity.id": "7"})] == ["a/7", "a/b"]


def test_moment_of_comparison() -> None:
    old, new = rule("a", "read", 'expiration = "2999-01-01T00:00:00Z"'), rule("a", "read")
    witness = vault.compare(old, new).witness
    assert witness is not None
    assert witness.at is not None
    assert witness.at > datetime(2999, 1, 1, tzinfo=UTC)
