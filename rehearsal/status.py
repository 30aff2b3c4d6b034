"""What a rehearsal is just now: which parts run, where everything is, and who is who.

It only asks and reads; it must not start, mend or change anything, and it shows no secret.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rehearsal import aws, bao, idp, postgres
from rehearsal.operator_environment import HEALTH
from rehearsal.processes import find
from rehearsal.state import read_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.layout import Layout

VERSION = 1
KINDS = {
    aws.NAME: "emulated (MiniStack, IAM enforced)",
    postgres.NAME: "real (PostgreSQL 16)",
    bao.NAME: "real (OpenBao)",
}
ADDRESSES: dict[str, Callable[[Layout], str]] = {
    aws.NAME: aws.get_endpoint,
    postgres.NAME: postgres.get_address,
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
class Status:
    """The whole rehearsal; `running` means that every part answers."""

    running: bool
    parts: tuple[Part, ...]
    workflows: tuple[str, ...]
    paths: dict[str, str]
    people: dict[str, tuple[str, ...]]
    identities: dict[str, str]


def read_status(layout: Layout) -> Status:
    """Return what the rehearsal is now."""
    parts = tuple(_read_part(layout, name) for name in KINDS)
    return Status(
        running=all(part.healthy for part in parts),
        parts=parts,
        workflows=tuple(sorted(file.stem for file in layout.manifests.glob("*.json"))),
        paths=_list_paths(layout),
        people=dict(idp.DIRECTORY),
        identities={
            "identity provider": f"{idp.ISSUER}, signs {idp.ALGORITHM}",
            "Vault operator": f"{idp.OPERATOR}, through auth/{bao.PEOPLE_MOUNT}, group {idp.OPERATOR_GROUP}",
            "Vault's AWS broker": f"arn:aws:iam::{aws.ACCOUNT}:user/narrowgate/dev/broker",
            "Vault's PostgreSQL broker": postgres.BROKER,
            "AWS operator": f"arn:aws:iam::{aws.ACCOUNT}:user/narrowgate/rehearsal/operator",
            "PostgreSQL deployer": postgres.DEPLOYER,
        },
    )


def _read_part(layout: Layout, name: str) -> Part:
    process = find(layout, name)
    known = name in read_state(layout).ports
    return Part(
        name=name,
        kind=KINDS[name],
        pid=process.pid if process else None,
        healthy=process is not None and known and HEALTH[name](layout),
        address=ADDRESSES[name](layout) if known else None,
        log=str(layout.log(name)),
    )


def _list_paths(layout: Layout) -> dict[str, str]:
    """Return where a person finds what."""
    return {
        "state": str(layout.root),
        "logs": str(layout.logs),
        "CA certificate": str(layout.ca_certificate),
        "Vault audit": str(bao.audit_file(layout)),
        "AWS calls": str(layout.cloudtrail),
        "Pulumi project": str(layout.project),
        "Pulumi state": str(layout.pulumi_state),
        "manifests": str(layout.manifests),
        "clients": str(layout.bin),
        "cache": str(layout.cache),
    }


def as_json(status: Status) -> dict[str, Any]:
    """Return `status` JSON-ready; `version` changes when a field's meaning does."""
    return {"version": VERSION, **asdict(status)}
