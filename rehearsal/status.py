"""What a rehearsal is just now: which parts run, where everything is, and who is who in each environment.

It only asks and reads; it must not start, mend or change anything, and it shows no secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rehearsal import aws, bao, idp, openid, postgres
from rehearsal.environments import account, describe
from rehearsal.operator_environment import HEALTH, knows, name_part
from rehearsal.processes import find

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rehearsal.layout import EnvironmentLayout, Layout

VERSION = 2
KINDS = {
    aws.NAME: "emulated (MiniStack, IAM enforced)",
    postgres.NAME: "real (PostgreSQL 16)",
    openid.NAME: "a small OpenID provider",
    bao.NAME: "real (OpenBao)",
}
ADDRESSES: dict[str, Callable[[EnvironmentLayout], str]] = {
    aws.NAME: aws.get_endpoint,
    postgres.NAME: postgres.get_address,
    openid.NAME: openid.get_address,
    bao.NAME: bao.get_address,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One server: whether its process runs (`pid`), whether it answers (`healthy`), where it and its log are."""

    name: str
    kind: str
    pid: int | None
    healthy: bool
    address: str | None
    log: str


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """One environment: its parts (the emulated AWS is all environments'), workflows, paths, and who is who."""

    running: bool
    parts: tuple[Part, ...]
    workflows: tuple[str, ...]
    paths: dict[str, str]
    identities: dict[str, str]


@dataclass(frozen=True, slots=True)
class Status:
    """The whole rehearsal; `running` means that every part of every environment answers."""

    running: bool
    environments: dict[str, EnvironmentStatus]
    paths: dict[str, str]
    people: dict[str, tuple[str, ...]]


def read_status(layout: Layout, environments: Sequence[EnvironmentLayout]) -> Status:
    """Return what the rehearsal of `environments` is now."""
    found = {one.environment: read_environment_status(one) for one in environments}
    return Status(
        running=all(one.running for one in found.values()),
        environments=found,
        paths={
            "state": str(layout.root),
            "logs": str(layout.logs),
            "AWS calls": str(layout.cloudtrail),
            "clients": str(layout.bin),
            "cache": str(layout.cache),
        },
        people=dict(idp.DIRECTORY),
    )


def read_environment_status(layout: EnvironmentLayout) -> EnvironmentStatus:
    """Return what one environment is now."""
    parts = tuple(_read_part(layout, name) for name in KINDS)
    return EnvironmentStatus(
        running=all(part.healthy for part in parts),
        parts=parts,
        workflows=tuple(sorted(file.stem for file in layout.manifests.glob("*.json"))),
        paths={
            "CA certificate": str(layout.ca_certificate),
            "Vault audit": str(bao.audit_file(layout)),
            "Pulumi project": str(layout.project),
            "Pulumi state": str(layout.pulumi_state),
            "manifests": str(layout.manifests),
        },
        identities={
            "identity provider": f"{idp.issuer(layout)}, signs {idp.ALGORITHM}",
            "Vault operator": f"{idp.OPERATOR}, through auth/{bao.PEOPLE_MOUNT}, group {idp.OPERATOR_GROUP}",
            "Vault's AWS broker": describe(layout).aws.broker_arn,
            "Vault's PostgreSQL broker": postgres.BROKER,
            "AWS operator": f"arn:aws:iam::{account(layout)}:user/narrowgate/rehearsal/operator",
            "PostgreSQL deployer": postgres.DEPLOYER,
        },
    )


def _read_part(layout: EnvironmentLayout, server: str) -> Part:
    name = name_part(layout, server)
    process, known = find(layout, name), knows(layout, server)
    return Part(
        name=name,
        kind=KINDS[server],
        pid=process.pid if process else None,
        healthy=process is not None and known and HEALTH[server](layout),
        address=ADDRESSES[server](layout) if known else None,
        log=str(layout.log(name)),
    )


def as_json(status: Status) -> dict[str, Any]:
    """Return `status` JSON-ready; `version` changes when a field's meaning does."""
    return {"version": VERSION, **asdict(status)}
