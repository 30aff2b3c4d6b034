"""dev and prod have nothing in common: what two environments share is an error of either."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, load_environment, require_separation
from narrowgate.declarations.checking import check_stacks

if TYPE_CHECKING:
    from pathlib import Path

CHANGES = {
    "name: dev": "name: prod",
    '"111111111111"': '"222222222222"',
    "iam::111111111111:user/narrowgate/dev/": "iam::222222222222:user/narrowgate/prod/",
    "external_id: narrowgate-dev": "external_id: narrowgate-prod",
    "vault.dev.example.com": "vault.prod.example.com",
    "acme-dev-documents": "acme-prod-documents",
    "postgres.dev.example.com": "postgres.prod.example.com",
    "narrowgate:dev:ci": "narrowgate:prod:ci",
    "environment:dev": "environment:prod",
}


def write_prod(stacks: Path, *, but: str | None = None) -> None:
    text = (stacks / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    for old, new in CHANGES.items():
        assert old in text
        if old != but:
            text = text.replace(old, new)
    (stacks / "Pulumi.prod.yaml").write_text(text, encoding="utf-8")


def test_two_environments_that_share_nothing_pass(stacks: Path) -> None:
    write_prod(stacks)
    report = check_stacks(stacks)
    assert (report.environments, report.errors) == (("dev", "prod"), ())


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ("vault.dev.example.com", "prod and dev share the Vault https://vault.dev.example.com:8200"),
        ("acme-dev-documents", "prod and dev share the bucket acme-dev-documents"),
        ("postgres.dev.example.com", "prod and dev share the database operations at postgres.dev.example.com"),
        ("narrowgate:dev:ci", "prod and dev share the audience narrowgate:dev:ci of CI's tokens"),
    ],
)
def test_what_they_share_is_an_error_where_it_is_bound(stacks: Path, shared: str, words: str) -> None:
    write_prod(stacks, but=shared)
    errors = check_stacks(stacks).errors
    assert {e.code for e in errors} == {"shared-environment"}
    assert errors[0].message == words
    assert errors[0].location.path.name == "Pulumi.prod.yaml"


def test_one_account_for_both_is_an_error(stacks: Path) -> None:
    write_prod(stacks)
    path = stacks / "Pulumi.prod.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("222222222222", "111111111111"), encoding="utf-8")
    assert [e.message for e in check_stacks(stacks).errors] == ["prod and dev share the AWS account 111111111111"]


def test_two_namespaces_of_one_server_are_two_vaults(stacks: Path) -> None:
    write_prod(stacks, but="vault.dev.example.com")
    path = stacks / "Pulumi.prod.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("    identity:", "      namespace: prod\n    identity:"), encoding="utf-8")
    assert check_stacks(stacks).errors == ()


@pytest.mark.parametrize(
    ("shared", "words"),
    [
        ("vault.dev.example.com", "the Vault https://vault.dev.example.com:8200"),
        ("acme-dev-documents", "the bucket acme-dev-documents"),
        ("narrowgate:dev:ci", "the audience narrowgate:dev:ci of CI's tokens"),
    ],
)
def test_a_deploy_of_one_environment_is_held_against_the_others(stacks: Path, shared: str, words: str) -> None:
    write_prod(stacks, but=shared)
    with pytest.raises(DeclarationErrors) as caught:
        require_separation(load_environment(stacks, "prod"), stacks)
    assert f"prod and dev share {words}" in [error.message for error in caught.value.errors]
    assert {error.location.path.name for error in caught.value.errors} == {"Pulumi.dev.yaml"}


def test_what_cannot_be_read_is_refused(stacks: Path) -> None:
    dev = load_environment(stacks, "dev")
    (stacks / "Pulumi.prod.yaml").write_text("config: {narrowgate:environment: {name: prod}}\n", encoding="utf-8")
    with pytest.raises(DeclarationErrors):
        require_separation(dev, stacks)


def test_names_that_both_have_are_nobodys(stacks: Path) -> None:
    write_prod(stacks)
    path = stacks / "Pulumi.prod.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("https://vault.prod.example.com:8200", "https://vault.dev.example.com:8300"))
    names = {foreign.name for foreign in require_separation(load_environment(stacks, "dev"), stacks)}
    assert {"vault.dev.example.com:8300", "acme-prod-documents", "222222222222"} <= names
    assert "vault.dev.example.com" not in names


def test_a_tool_that_names_prods_bucket_is_refused_where_it_stands(stacks: Path) -> None:
    write_prod(stacks)
    path = stacks / "tools" / "documents.yaml"
    text = path.read_text(encoding="utf-8")
    assert "${binding.bucket}" in text
    path.write_text(text.replace("${binding.bucket}", "acme-prod-documents", 1), encoding="utf-8")
    (error,) = check_stacks(stacks).errors
    assert error.message == "an S3 bucket is bound by the environment"
    assert error.location.path == path
