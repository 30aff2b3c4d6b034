"""The environment's bindings come from a stack's config, checked and in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, find_environments, load_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENV = "Pulumi.dev.yaml"
JWKS = "      jwks_url: https://idp.example.com/keys\n"

# what is replaced, by what, then line, column and code
MISTAKES = {
    "account of 11 digits": ('"111111111111"', '"11111111111"', 6, 16, "bad-format"),
    "account as a number": ('"111111111111"', "111111111111", 6, 16, "wrong-type"),
    "unknown partition": (
        "region: eu-central-1",
        "region: eu-central-1\n      partition: azure",
        8,
        18,
        "unknown-value",
    ),
    "broker of another account": (
        "111:user/narrowgate/dev/broker",
        "222:user/narrowgate/dev/broker",
        8,
        19,
        "foreign-account",
    ),
    "broker of another environment": ("narrowgate/dev/broker", "narrowgate/prod/broker", 8, 19, "foreign-account"),
    "broker that is everybody": ("arn:aws:iam::111111111111:user/narrowgate/dev/broker", '"*"', 8, 19, "bad-format"),
    "Vault without TLS": ("address: https:", "address: http:", 12, 16, "bad-format"),
    "no issuer keys": (JWKS, "", 15, 7, "missing-key"),
    "two sources of keys": (JWKS, f"{JWKS}      public_keys: ['-----BEGIN PUBLIC KEY-----']\n", 15, 7, "missing-key"),
    "pointer that is none": (JWKS, f"{JWKS}      user_claim: sub\n", 17, 19, "bad-format"),
    "cap without unit": ("max_ttl: 1h", "max_ttl: 3600", 17, 23, "bad-value"),
    "unknown key": ("limits:", "limit:", 17, 5, "unknown-key"),
    "binding that is a list": ("{bucket: acme-dev-documents}", "{bucket: [a]}", 19, 27, "wrong-type"),
    "name that is none": ("name: dev", "name: Dev", 4, 11, "bad-value"),
    "network that is none": (
        "limits:",
        "workflows: {x: {cidrs: [10.0.0.1/8]}}\n    limits:",
        17,
        28,
        "bad-format",
    ),
    "cluster without TLS": (
        "limits:",
        "kubernetes: {host: 'http://x', ca_pem: '-----BEGIN CERTIFICATE-----'}\n    limits:",
        17,
        24,
        "bad-format",
    ),
    "no bindings": ("narrowgate:environment:", "narrowgate:environments:", 3, 3, "missing-key"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_has_its_place_and_code(name: str, stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    old, new, line, column, code = MISTAKES[name]
    edit(ENV, old, new)
    with pytest.raises(DeclarationErrors) as caught:
        load_environment(stacks, "dev")
    (error,) = caught.value.errors
    assert (error.location.line, error.location.column, error.code) == (line, column, code), str(error)
    assert error.location.path == stacks / ENV


def test_a_stack_that_names_its_environment_reads_the_same_bindings(stacks: Path) -> None:
    assert load_environment(stacks, "dev-foundation") == load_environment(stacks, "dev")


def test_a_name_of_a_name_is_refused(stacks: Path) -> None:
    (stacks / "Pulumi.x.yaml").write_text("config:\n  narrowgate:environment: dev-foundation\n", encoding="utf-8")
    with pytest.raises(DeclarationErrors, match="names another file again"):
        load_environment(stacks, "x")


@pytest.mark.parametrize("stack", ["../dev", "a/b", "", "."])
def test_a_stack_name_cannot_leave_the_folder(stacks: Path, stack: str) -> None:
    with pytest.raises(DeclarationErrors, match="no stack name"):
        load_environment(stacks, stack)


def test_a_missing_stack_is_an_error(stacks: Path) -> None:
    with pytest.raises(DeclarationErrors, match="cannot be read"):
        load_environment(stacks, "prod")


def test_environments_are_the_stacks_that_hold_bindings(stacks: Path) -> None:
    assert find_environments(stacks) == ["dev"]


def test_a_config_that_cannot_be_read_is_not_passed_over(stacks: Path) -> None:
    (stacks / "Pulumi.prod.yaml").write_text("config: [", encoding="utf-8")
    assert find_environments(stacks) == ["dev", "prod"]


def test_defaults_are_those_of_the_documentation(stacks: Path) -> None:
    environment = load_environment(stacks, "dev")
    assert environment.vault.aws_mount == "narrowgate-aws"
    assert environment.identity.user_claim == "/sub"
    assert environment.identity.agent_claim == "/act/sub"
    assert environment.limits.max_ttl_seconds == 3600
    assert environment.limits.max_session_seconds == 28800


def test_bindings_are_sorted_and_typed(stacks: Path) -> None:
    environment = load_environment(stacks, "dev")
    names = [binding.tool for binding in environment.tools]
    assert names == sorted(names)
    assert {"documents", "incidents", "payments"} <= set(names)
    assert environment.binding("incidents").get("port") == 5432
    assert environment.binding("nothing").values == ()
