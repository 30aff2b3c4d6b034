"""The policy parser against the real server's: the same texts are accepted, and mean the same."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING

import access_vault_oracle as asked
import pytest

from narrowgate.access import vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from access_vault_oracle import Oracle

pytestmark = pytest.mark.rehearsal

GROUP = 'factor "f" { controlled_capabilities = ["read"] identity { group_names = ["g"] approvals = 1 } }'
HCL = (
    'path "a" { capabilities = ["read", "list"] }',
    'path "b/*" { policy = "write" }',
    'name = "n"',
    'path "k" { capabilities = ["read"], allowed_parameters = { "k" = ["x", 1, true], "*" = [] } }',
    'path "m" { capabilities = ["create"] required_parameters = ["a"] denied_parameters { "z" = [] } }',
    'path "w" { capabilities = ["read"] min_wrapping_ttl = "5m" max_wrapping_ttl = 3600 }',
    'path "c" { capabilities = ["read"] control_group = { ttl = "1h" ' + GROUP + " } }",
    'path "e" { capabilities = ["read"] expiration = "2099-01-01T00:00:00Z" pagination_limit = 3 comment = "hi" }',
    'path "l/" { capabilities = ["list"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }',
    'path "h" { capabilities = [<<EOF\nread\nEOF\n] }',
    'path "d" { capabilities = ["deny"] min_wrapping_ttl = "bogus" }',
    'path = { capabilities = ["read"] }',
    'path "x" "y" { capabilities = ["read"] }',
    'path "+/z" { capabilities = ["read"] capabilities = ["list"] }',
)
JSON: tuple[object, ...] = (
    {"path": {"a": {"capabilities": ["read"]}, "b/*": {"policy": "write"}}},
    {"path": [{"a": {"capabilities": ["read"]}}, {"a": {"capabilities": ["list"]}}], "name": "x"},
    {"path": {"k": {"capabilities": ["update"], "allowed_parameters": {"k": ["x", 1, True], "*": []}}}},
    {"path": {"k": {"allowed_parameters": {"k": {"x": 1}}}}},
    {"path": {"k": {}}},
    {"path": {"k": {"comment": None, "capabilities": [True, "read"], "required_parameters": [["a"]]}}},
    {"path": "x"},
    [],
)
PIECES = (
    "path",
    '"a"',
    '"b/*"',
    "{",
    "}",
    "=",
    "[",
    "]",
    ",",
    '"read"',
    '"list"',
    "capabilities",
    "policy",
    '"write"',
    '"deny"',
    "name",
    '"n"',
    "1",
    "-1",
    "0x1f",
    "1.5",
    "true",
    "null",
    "comment",
    "allowed_parameters",
    '"k"',
    "min_wrapping_ttl",
    '"5m"',
    "max_wrapping_ttl",
    '"1h"',
    "required_parameters",
    "expiration",
    '"2020-01-01T00:00:00Z"',
    "pagination_limit",
    '"\\u0061"',
    '"\\x61"',
    '"${x}"',
    '"${"a"}"',
    "control_group",
    "factor",
    '"f"',
    "identity",
    "group_names",
    '["g"]',
    "approvals",
    "controlled_capabilities",
    '["read"]',
    ":",
    "mfa_methods",
    '"{{identity.entity.id}}"',
    '"{{"',
    '"}}"',
    "+",
    "-",
    ".",
    "07",
    "08",
    "1e3",
    "word-x.y",
    "é",
    '"a\\"b"',
    '"\\q"',
    '""',
    "[]",
    "{}",
    "$",
    '"5d"',
    '"1x"',
    "10s",
    "self_auth_allowed",
    "ttl",
    "\n",
    "\r\n",
    "#x\n",
    "//y\n",
    "/* z */",
    "<<EOF\nread\nEOF\n",
    "<<-EOF\n  read\n  EOF\n",
)
TOKEN = re.compile(r'<<-?\w+\n[^\0]*?\n\s*EOF\n|"(?:\\.|[^"\\])*"|[\w.]+|\s+|.', re.DOTALL)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    with asked.run_oracle(tmp_path_factory.mktemp("bao")) as running:
        yield running


def spoil(rnd: random.Random, text: str, gap: str) -> str:
    """Return the text with a few of its tokens added, removed or replaced."""
    tokens = TOKEN.findall(text)
    for _ in range(rnd.choice([0, 1, 1, 1, 2, 3])):
        at = rnd.randrange(len(tokens)) if tokens else 0
        piece = rnd.choice(PIECES)
        piece = piece if piece.endswith("\n") else gap + piece + gap
        change = rnd.random()
        if change < 0.4:
            tokens.insert(at, piece)
        elif change < 0.95:
            tokens[at : at + 1] = [piece] * (change < 0.65)
        else:
            del tokens[at:]
    return "".join(tokens)


def compare_with_server(oracle: Oracle, text: str) -> bool:
    """Check that the text is accepted or refused alike, and grants alike; return whether it was accepted."""
    if not oracle.write_policy("p", text):
        with pytest.raises(vault.VaultPolicyError):
            vault.parse(text, "p", server=vault.Server.OPENBAO)
        return False
    policy = vault.parse(text, "p", server=vault.Server.OPENBAO)
    acl = vault.access_list(policy)
    paths = ["a", "b/", "b/x", "k", "m", "c", "e", "l/", "h", "d", "path", "x", "q/z"]
    paths += [rule.path for rule in policy.rules if rule.path]
    for path, expected in oracle.capabilities(oracle.make_token("p"), list(dict.fromkeys(paths))).items():
        assert vault.capabilities(acl, path) == expected, (path, text)
    return True


@pytest.mark.parametrize(("seed", "rounds"), [(1, 800), pytest.param(2, 30_000, marks=pytest.mark.long)])
def test_spoilt_policies_are_read_alike(oracle: Oracle, seed: int, rounds: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - test data
    accepted = 0
    for _ in range(rounds):
        if rnd.random() < 0.65:
            text = spoil(rnd, "\n".join(rnd.sample(HCL, rnd.choice([1, 1, 2]))), " ")
        else:
            text = spoil(rnd, json.dumps(rnd.choice(JSON)), "")
        if text.strip():
            accepted += compare_with_server(oracle, text)
    assert rounds / 10 < accepted < rounds


@pytest.mark.parametrize("text", [*HCL, *(json.dumps(value) for value in JSON)])
def test_unspoilt_policies_are_read_alike(oracle: Oracle, text: str) -> None:
    compare_with_server(oracle, text)


@pytest.mark.parametrize(
    "group",
    [
        "{}",
        '{ ttl = "1h" }',
        "[]",
        '"x"',
        "{ " + GROUP + " " + GROUP + " self_auth_allowed = true }",
        "{ " + GROUP + " foo = 1 }",
        "{ " + GROUP.replace("approvals = 1", 'approvals = "1" foo = 2') + " }",
        "{ " + GROUP.replace("approvals = 1", "approvals = 0") + " }",
        "{ " + GROUP.replace('"f"', "") + " }",
        "{ " + GROUP.replace('["g"]', "[]") + " }",
        *("{ " + GROUP.replace('["read"]', f"[{names}]") + " }" for names in ("", '"sudo"', '"rollback"', '"renew"')),
    ],
)
def test_control_groups_are_read_alike(oracle: Oracle, group: str) -> None:
    compare_with_server(oracle, f'path "c" {{ capabilities = ["read"] control_group = {group} }}')
