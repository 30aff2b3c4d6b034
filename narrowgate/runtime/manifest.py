"""Reads a workflow's manifest: all that its agent must know, and nothing secret.

The format is `narrowgate.compile.manifest`'s, version 1; this room reads it without importing that one, as an agent in
another language would. Unknown keys are ignored, so that a newer deploy may add some; a newer version is refused.
A key whose value is null may be missing: Pulumi drops nulls from a stack's outputs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from narrowgate.runtime.errors import ManifestError
from narrowgate.runtime.versioned import load_object, require_version

VERSION = 1
WHAT = "The manifest"
MANIFEST_VARIABLE = "NARROWGATE_MANIFEST"


@dataclass(frozen=True, slots=True)
class ManifestAction:
    """One action of a tool; the credentials of a `gated` one are never an agent's.

    `inputs` is the JSON Schema of what an agent gives when it proposes the action.
    """

    name: str
    access: str
    impact: str
    gated: bool
    grants: tuple[str, ...] = ()
    inputs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ManifestLedger:
    """Where Vault signs this workflow's checkpoints (`sign`), and below which path they are anchored (`anchors`)."""

    sign: str
    anchors: str


@dataclass(frozen=True, slots=True)
class ManifestTool:
    """One tool: where its credentials are read (`path`, None where every action is gated) and how they are used.

    Where there is a `request`, credentials are had by writing it to the path, not by reading. `secret_fields` are names
    of fields that no record of a call may hold.
    """

    name: str
    backend: str
    path: str | None
    actions: Mapping[str, ManifestAction]
    connection: Mapping[str, Any]
    request: Mapping[str, Any] | None = None
    ttl_seconds: int = 0
    secret_fields: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Return a part of `connection` that must be there; raise ManifestError where it is not."""
        value = self.connection.get(name)
        if value in (None, ""):
            raise ManifestError(f"The manifest does not say the {name} of the tool {self.name}.")
        return str(value)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one workflow's agent knows: Vault, its own auth mount and role, its tools.

    `identity` is the kind of its login, and `login` what else that kind needs. `proposals` are the places of `drafts`
    and `answers` in Vault, empty where the environment has no gate.
    """

    workflow: str
    environment: str
    address: str
    ca_pem: str | None
    namespace: str | None
    auth_mount: str
    auth_role: str
    audience: str
    tools: Mapping[str, ManifestTool]
    ledger: ManifestLedger | None = None
    identity: str = "jwt"
    login: Mapping[str, Any] = field(default_factory=dict)
    proposals: Mapping[str, Any] = field(default_factory=dict)

    def login_text(self, name: str) -> str:
        """Return a part of `login` that must be there; raise ManifestError where it is not."""
        value = self.login.get(name)
        if value in (None, ""):
            raise ManifestError(f"The manifest of {self.workflow} does not say the {name} of its login.")
        return str(value)


def read_manifest(
    source: Path | str | Mapping[str, Any] | Manifest | None = None, *, workflow: str | None = None
) -> Manifest:
    """Return the manifest in `source`: its content, or its file's path; without one, NARROWGATE_MANIFEST's file.

    Where the path is a folder, the manifest is that of `workflow` in it.

    Raises:
        ManifestError: there is none, it is no manifest, it is not that of `workflow`, or its version is newer than this
            library's.

    """
    if isinstance(source, Manifest):
        return source
    if source is None:
        source = os.environ.get(MANIFEST_VARIABLE) or None
    if source is None:
        raise ManifestError("There is no manifest.")
    document = (
        source if isinstance(source, Mapping) else load_object(_find_file(Path(source), workflow), WHAT, ManifestError)
    )
    require_version(document, VERSION, WHAT, ManifestError)
    try:
        manifest = _parse(document)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ManifestError(f"The manifest is not complete: {type(error).__name__} at {error}.") from None
    if workflow is not None and manifest.workflow != workflow:
        raise ManifestError(f"The manifest is that of {manifest.workflow}, not of {workflow}.")
    return manifest


def _find_file(path: Path, workflow: str | None) -> Path:
    """Return the manifest's file: `path`, or the one of `workflow` in the folder `path`."""
    if not path.is_dir():
        return path
    known = sorted(file.stem for file in path.glob("*.json"))
    if workflow is None:
        raise ManifestError(f"{path} is a folder.", hint=f"Name the workflow: {', '.join(known) or 'there is none'}.")
    if workflow not in known:
        raise ManifestError(f"There is no manifest of {workflow} in {path}; there are {', '.join(known) or 'none'}.")
    return path / f"{workflow}.json"


def _parse(document: Mapping[str, Any]) -> Manifest:
    vault, login, ledger = document["vault"], document["login"], document.get("ledger")
    address = str(vault["address"])
    if not address.startswith("https://"):
        raise ManifestError(f"The manifest's Vault is at {address}: credentials travel over https only.")
    return Manifest(
        workflow=str(document["workflow"]),
        environment=str(document["environment"]),
        address=address,
        ca_pem=vault.get("ca_pem"),
        namespace=vault.get("namespace"),
        auth_mount=str(login["mount"]),
        auth_role=str(login["role"]),
        audience=str(login["audience"]),
        identity=str(login.get("identity") or "jwt"),
        login=MappingProxyType(dict(login)),
        tools=MappingProxyType({name: _parse_tool(name, tool) for name, tool in document["tools"].items()}),
        ledger=ManifestLedger(str(ledger["sign"]), str(ledger["anchors"])) if ledger else None,
        proposals=MappingProxyType(dict(document.get("proposals") or {})),
    )


def _parse_tool(name: str, tool: Mapping[str, Any]) -> ManifestTool:
    actions = {
        action: ManifestAction(
            action,
            str(known["access"]),
            str(known["impact"]),
            gated=bool(known["gated"]),
            grants=tuple(str(grant) for grant in known.get("grants") or ()),
            inputs=known.get("inputs"),
        )
        for action, known in tool["actions"].items()
    }
    return ManifestTool(
        name=name,
        backend=str(tool["backend"]),
        path=tool.get("path"),
        actions=MappingProxyType(actions),
        connection=MappingProxyType(dict(tool.get("connection") or {})),
        ttl_seconds=int(tool.get("ttl_seconds") or 0),
        request=MappingProxyType(dict(tool["request"])) if tool.get("request") else None,
        secret_fields=tuple(str(name) for name in tool.get("secret_fields") or ()),
    )
