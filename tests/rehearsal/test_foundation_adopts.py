"""Mounts that somebody made by hand are taken as they are: never made again, never changed, never deleted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import EngineBench, open_aws, open_vault

from narrowgate.compile.foundation import AWS_USERNAME_TEMPLATE, compile_foundation
from narrowgate.declarations import load_environment
from rehearsal.engine import ensure_aws_secrets_engine
from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    import hvac
    from engine_bench import Project

pytestmark = pytest.mark.rehearsal

STACKS = CHECKOUT / "stacks"
ALL = ("aws", "database", "issuer", "kv", "pki", "signing_key")
PROGRAM = """
    from dataclasses import replace
    from pathlib import Path
    from narrowgate.compile.foundation import compile_foundation
    from narrowgate.declarations import load_environment
    from narrowgate_pulumi import Environment
    environment = load_environment(Path({stacks!r}), "dev")
    places = dict(zip(("aws_mount", "database_mount", "kv_mount", "pki_mount", "signing_key"), {places!r}))
    vault = replace(environment.vault, address={address!r}, adopt={adopt!r}, **places)
    environment = replace(environment, vault=vault, approvals=None)  # its connections need a database
    documents = compile_foundation(environment)
    passwords = {{str(c["name"]): "unused" for c in documents.database_connections}}
    Environment("dev", {{"environment": environment, "documents": documents, "passwords": passwords}})
"""
THEIRS = ("their-aws", "their-database", "their-kv", "their-pki", "their-key")
BROKEN = {
    # what is adopted, where it stands, and what is said
    "kv": (("", "", "old-kv", "", ""), "version"),
    "aws": (("plain-aws", "", "", "", ""), "username_template"),
    "database": (("", "plain-database", "", "", ""), "username_template"),
    "pki": (("", "", "", "their-kv", ""), "type"),
    "signing_key": (("", "", "", "", "narrow-key"), "allowed_client_ids"),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineBench]:
    folder = tmp_path_factory.mktemp("engine")
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(ensure_aws_secrets_engine(print).path, plugins / "aws")
    with open_aws(folder) as aws, open_vault(folder, plugins) as vault:
        yield EngineBench(folder, aws, vault)


@pytest.fixture(scope="module")
def theirs(bench: EngineBench) -> hvac.Client:
    """Make by hand what a company has already: with settings of its own, data in it, and some that will not do."""
    vault = bench.vault()
    (connection,) = compile_foundation(load_environment(STACKS, "dev")).database_connections
    for path, kind, options in (
        ("their-aws", "aws", {}),
        ("plain-aws", "aws", {}),
        ("their-database", "database", {}),
        ("plain-database", "database", {}),
        ("their-kv", "kv", {"version": "2"}),
        ("old-kv", "kv", {"version": "1"}),
        ("their-pki", "pki", {}),
    ):
        vault.sys.enable_secrets_engine(kind, path=path, options=options, description="made by hand", config={
            "max_lease_ttl": "2h"
        })  # fmt: skip
    vault.write_data("their-aws/config/root", data={"username_template": AWS_USERNAME_TEMPLATE, "region": "eu-west-3"})
    vault.write_data("plain-aws/config/root", data={"region": "eu-west-3"})
    for mount, template in (("their-database", connection["username_template"]), ("plain-database", "")):
        settings = {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": "postgresql://{{username}}:{{password}}@127.0.0.1:1/theirs",
            "username": "their_broker",
            "password": "theirs",
            "allowed_roles": "*",
            "username_template": template,
            "verify_connection": False,
        }
        vault.write_data(f"{mount}/config/{connection['name']}", data=settings)
    vault.write_data("their-pki/root/generate/internal", data={"common_name": "their CA", "ttl": "1h"})
    vault.write_data("their-kv/data/team/key", data={"data": {"key": "theirs"}})
    vault.write_data("identity/oidc/key/their-key", data={"allowed_client_ids": "*", "algorithm": "RS256"})
    vault.write_data("identity/oidc/key/narrow-key", data={"allowed_client_ids": "one", "algorithm": "RS256"})
    vault.write_data("identity/oidc/config", data={"issuer": bench.vault_url})
    return vault


def see(vault: hvac.Client) -> dict[str, Any]:
    """Return all that could be altered."""
    mounts = vault.sys.list_mounted_secrets_engines()["data"]
    paths = (
        "their-aws/config/root",
        "their-database/config/operations",
        "their-kv/config",
        "their-kv/data/team/key",
        "their-pki/cert/ca",
        "their-pki/config/urls",
        "identity/oidc/key/their-key",
        "identity/oidc/config",
    )
    lists = {path: vault.list(path) for path in ("their-pki/issuers", "their-pki/roles", "their-database/roles")}
    return {
        "mounts": mounts,
        **{path: (vault.read(path) or {}).get("data") for path in paths},
        **{path: (found or {}).get("data") for path, found in lists.items()},
    }


def make_project(bench: EngineBench, name: str, adopt: tuple[str, ...], places: tuple[str, ...]) -> Project:
    program = PROGRAM.format(stacks=str(STACKS), address=bench.vault_url, adopt=adopt, places=places)
    return bench.project(name, program)


def test_what_is_adopted_is_neither_changed_nor_deleted(bench: EngineBench, theirs: hvac.Client) -> None:
    before = see(theirs)
    project = make_project(bench, "adopts", ALL, THEIRS)
    project.up()
    made = {path for path in theirs.sys.list_mounted_secrets_engines()["data"] if path not in before["mounts"]}
    assert not [path for path in made if path.startswith(("narrowgate-kv", "narrowgate-pki", "narrowgate-aws"))]
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--skip-preview")
    project.up()
    after = see(theirs)
    assert {path: mount for path, mount in after["mounts"].items() if path in before["mounts"]} == before["mounts"]
    assert {name: part for name, part in after.items() if name != "mounts"} == {
        name: part for name, part in before.items() if name != "mounts"
    }
    project.pulumi("destroy", "--yes")
    assert see(theirs) == before


@pytest.mark.parametrize("part", sorted(BROKEN))
def test_what_workflows_could_not_rely_on_is_refused_in_preview(
    bench: EngineBench, theirs: hvac.Client, part: str
) -> None:
    changed, setting = BROKEN[part]
    places = tuple(new or old for new, old in zip(changed, THEIRS, strict=True))
    before = see(theirs)
    project = make_project(bench, f"refuses-{part.replace('_', '-')}", ALL, places)
    output = project.pulumi("preview", "--color=never", fails=True)
    assert "cannot be adopted" in output
    assert setting in output
    assert "Traceback" not in output
    assert see(theirs) == before


def test_what_does_not_exist_cannot_be_adopted(bench: EngineBench, theirs: hvac.Client) -> None:
    project = make_project(bench, "misses", ("kv",), (*THEIRS[:2], "nowhere", "ours-pki", "ours-key"))
    assert "nowhere" in project.pulumi("preview", "--color=never", fails=True)
    assert "nowhere/" not in theirs.sys.list_mounted_secrets_engines()["data"]
