"""What approvers and executors must know of an environment's gate: nothing secret, exported by the deploy.

This module reads it and must not write it. A newer version is refused, unknown keys are ignored. A key whose value is
null may be missing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from narrowgate.approvals.errors import NotFoundError, SettingsError
from narrowgate.runtime.versioned import load_object, require_version

VERSION: Final = 1
WHAT: Final = "The gate's description"
VARIABLE: Final = "NARROWGATE_GATE"
REQUEST_ID: Final = re.compile(r"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)\.([a-z2-7]{20})")


@dataclass(frozen=True, slots=True)
class FactorRule:
    """One factor: `required` distinct people, each of any of `groups`."""

    groups: tuple[str, ...]
    required: int


@dataclass(frozen=True, slots=True)
class GatedAction:
    """One gated action of one workflow.

    `path` holds the gated credentials and `login_role` is the executor's role for one request, whose token serves
    `num_uses` requests; `reader_path` holds the credentials of the executor's own read, None where it reads by nothing.
    `execute` is the tool catalogue's, with the workflow's scope filled in; `requester_mount` is the auth mount of the
    agents, `requester` is set where the workflow acts for nobody. `secret_fields` are names of fields that no record
    may hold.
    """

    workflow: str
    tool: str
    action: str
    backend: str
    path: str
    login_role: str
    num_uses: int
    factors: tuple[FactorRule, ...]
    expires_seconds: int
    credential_seconds: int
    inputs: Mapping[str, Any]
    execute: Mapping[str, Any]
    connection: Mapping[str, Any]
    requester_mount: str
    reader_path: str | None = None
    description: str = ""
    secret_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return `<tool>.<action>`."""
        return f"{self.tool}.{self.action}"


@dataclass(frozen=True, slots=True)
class Mounts:
    """The KV v2 mounts: what agents write, what executors make of it, what people decide, what came of it."""

    drafts: str
    cases: str
    decisions: str
    records: str
    held: str


@dataclass(frozen=True, slots=True)
class LedgerPlaces:
    """Where an executor has checkpoints of its ledger signed, and below which path its anchors stand."""

    sign: str
    anchors: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody logs in: an auth `mount`, its `role`, and the `audience` that the token must carry.

    `ledger` is an executor's; None where nobody vouches for what it records. `page_role` is the approvers' role for
    logins through the page at `page_url`; None where people give the page a token.
    """

    mount: str
    role: str
    audience: str
    ledger: LedgerPlaces | None = None
    page_role: str | None = None
    page_url: str | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One environment's gate; `revocations` is the KV v2 mount with what operators have revoked."""

    environment: str
    address: str
    ca_pem: str | None
    namespace: str | None
    mounts: Mounts
    approvers: Place
    executors: Mapping[str, Place]
    actions: tuple[GatedAction, ...]
    group_prefix: str = ""
    revocations: str | None = None

    def find(self, workflow: str, name: str) -> GatedAction | None:
        """Return the gated action `<tool>.<action>` of `workflow`, or None."""
        return next((a for a in self.actions if a.workflow == workflow and a.name == name), None)

    @property
    def places(self) -> tuple[tuple[str, str], ...]:
        """Return each (workflow, tool) that has gated actions, sorted."""
        return tuple(sorted({(action.workflow, action.tool) for action in self.actions}))


def read_gate(source: Path | str | Mapping[str, Any] | None = None) -> Gate:
    """Return the gate in `source`: its content, or its file's path; without one, NARROWGATE_GATE's file.

    Raises:
        SettingsError: there is none, it is none, or its version is newer than this library's.

    """
    if source is None:
        source = os.environ.get(VARIABLE) or None
    if source is None:
        raise SettingsError("There is no description of the environment's gate.")
    document = source if isinstance(source, Mapping) else load_object(Path(source), WHAT, SettingsError)
    require_version(document, VERSION, WHAT, SettingsError)
    try:
        return _parse(document)
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"The gate's description is not complete: {type(error).__name__} at {error}.") from None


def split_request_id(request_id: str) -> tuple[str, str]:
    """Return a request id's workflow and key; raise NotFoundError for what is no request id."""
    match = REQUEST_ID.fullmatch(request_id)
    if match is None:
        raise NotFoundError("That is no request id.", hint="A request id is `<workflow>.<20 letters and digits>`.")
    return match.group(1), match.group(2)


def _parse(document: Mapping[str, Any]) -> Gate:
    vault, mounts = document["vault"], document["mounts"]
    address = str(vault["address"])
    if not address.startswith("https://"):
        raise SettingsError(f"The gate's Vault is at {address}: credentials travel over https only.")
    return Gate(
        environment=str(document["environment"]),
        address=address,
        ca_pem=vault.get("ca_pem"),
        namespace=vault.get("namespace"),
        mounts=Mounts(**{name: str(mounts[name]) for name in Mounts.__dataclass_fields__}),
        approvers=_parse_place(document["approvers"]),
        executors=MappingProxyType({name: _parse_place(place) for name, place in document["executors"].items()}),
        actions=tuple(_parse_action(action) for action in document["actions"]),
        group_prefix=str(document.get("group_prefix") or ""),
        revocations=vault.get("revocations"),
    )


def _parse_place(place: Mapping[str, Any]) -> Place:
    ledger = place.get("ledger")
    places = LedgerPlaces(str(ledger["sign"]), str(ledger["anchors"])) if ledger else None
    page = {name: str(place[name]) for name in ("page_role", "page_url") if place.get(name) is not None}
    return Place(str(place["mount"]), str(place["role"]), str(place["audience"]), places, **page)


def _parse_action(action: Mapping[str, Any]) -> GatedAction:
    known = {name: action[name] for name in GatedAction.__dataclass_fields__ if action.get(name) is not None}
    factors = tuple(FactorRule(tuple(f["groups"]), int(f["required"])) for f in action["factors"])
    secret_fields = tuple(str(name) for name in action.get("secret_fields") or ())
    return GatedAction(**{**known, "factors": factors, "secret_fields": secret_fields})
