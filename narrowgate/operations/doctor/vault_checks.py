"""Checks of Vault: the server, its features, and what the foundation made in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.control_groups import NoControlGroupsError, require_control_groups
from narrowgate.operations.doctor.clock import compare_clock
from narrowgate.operations.doctor.patient import SickError, SkippedError
from narrowgate.operations.record import RevocationRecords

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.operations.doctor.patient import Patient

DEPLOY_FOUNDATION: Final = "Deploy the environment's foundation as an administrator: it makes this."


def _read(patient: Patient, path: str, what: str) -> Mapping[str, Any]:
    answer = patient.vault.read(path)
    if answer is None:
        raise SickError(f"{what} is not there ({path}).", hint=DEPLOY_FOUNDATION)
    data: Mapping[str, Any] = answer.get("data") or answer
    return data


def check_server(patient: Patient) -> str:
    """Look whether Vault answers, unsealed."""
    status = patient.vault.read("sys/seal-status") or {}
    if not status.get("initialized") or status.get("sealed"):
        raise SickError("Vault is sealed, or was never initialised.", hint="Unseal it: `vault operator unseal`.")
    return f"{patient.environment.vault.address}, version {status.get('version')}"


def check_clock(patient: Patient) -> str:
    """Look whether Vault's clock is ours."""
    date = patient.vault.read_header("sys/seal-status", "Date")
    return compare_clock("Vault's", date)


def check_audit(patient: Patient) -> str:
    """Look whether an audit device is on, the declared one among them."""
    found = sorted(name.rstrip("/") for name in _read(patient, "sys/audit", "The list of audit devices"))
    devices = [name for name in found if "/" not in name and name not in {"request_id", "lease_id"}]
    wanted = patient.environment.vault.audit
    if wanted is not None and wanted not in devices:
        raise SickError(f"The audit device {wanted} is not on.", hint="Declare it in the server's file, or enable it.")
    if not devices:
        raise SickError("No audit device is on: nobody could tell what was done.", hint="Enable one on the server.")
    return ", ".join(devices)


def check_control_groups(patient: Patient) -> str:
    """Look whether the server can hold gated requests back."""
    if not patient.gated:
        raise SkippedError("no workflow has a gated action")
    try:
        require_control_groups(patient.environment.vault, str(patient.vault.adapter.token))
    except NoControlGroupsError as error:
        raise SickError(str(error), hint=error.hint) from None
    return "the server knows control groups"


def _wanted_mounts(patient: Patient) -> Iterator[tuple[str, str]]:
    vault = patient.environment.vault
    yield vault.aws_mount, "aws"
    yield vault.database_mount, "database"
    yield vault.kv_mount, "kv"
    yield vault.pki_mount, "pki"
    yield vault.revocations_mount, "kv"
    yield patient.documents.anchor_mount, "kv"
    yield patient.documents.signing_mount, "transit"
    gate = patient.documents.approvals
    if gate is not None:
        yield from ((path, "kv") for path in gate.stores)
        yield gate.database_mount, "database"
        if gate.aws_mount is not None:
            yield gate.aws_mount, "aws"


def check_mounts(patient: Patient) -> str:
    """Look whether each secrets engine is mounted, of its kind, and KV of version 2."""
    found = _read(patient, "sys/mounts", "The list of mounts")
    for path, kind in _wanted_mounts(patient):
        mount = found.get(f"{path}/")
        if mount is None:
            raise SickError(f"There is no mount {path}.", hint=DEPLOY_FOUNDATION)
        name = str(mount["type"])
        if kind not in {name, name.rpartition("-")[2]}:
            raise SickError(f"The mount {path} is of type {name}, not {kind}.", hint="Bind another path to it.")
        if kind == "kv" and (mount.get("options") or {}).get("version") != "2":
            raise SickError(f"The mount {path} is KV of version 1.", hint="`vault kv enable-versioning` it.")
    return f"{len(list(_wanted_mounts(patient)))} mounts"


def check_aws_engine(patient: Patient) -> str:
    """Look whether Vault names AWS sessions itself, so that the trail tells workflow, tool and user."""
    path = f"{patient.environment.vault.aws_mount}/config/root"
    found, wanted = _read(patient, path, "The AWS engine's setting"), patient.documents.aws_config["username_template"]
    if found.get("username_template") != wanted:
        raise SickError(
            f"{path}: another username template; sessions do not tell whose they are.", hint=DEPLOY_FOUNDATION
        )
    return "sessions are named by Vault"


def check_databases(patient: Patient) -> str:
    """Look whether Vault knows each database, and makes login names that can't become SQL."""
    mount = patient.environment.vault.database_mount
    for connection in patient.documents.database_connections:
        path = f"{mount}/config/{connection['name']}"
        found = _read(patient, path, f"The connection {connection['name']}").get("connection_details") or {}
        if found.get("username_template") != connection["username_template"]:
            raise SickError(f"The username template of {path} is another.", hint=DEPLOY_FOUNDATION)
    return ", ".join(str(connection["name"]) for connection in patient.documents.database_connections) or "none"


def check_signing(patient: Patient) -> str:
    """Look whether signed tokens name the issuer that their readers know, and their key is there."""
    found = _read(patient, "identity/oidc/config", "The issuer of signed tokens")
    if found.get("issuer") != patient.documents.issuer:
        raise SickError(
            f"Vault's tokens name the issuer {found.get('issuer')!r}, not {patient.documents.issuer!r}.",
            hint=DEPLOY_FOUNDATION,
        )
    _read(patient, f"identity/oidc/key/{patient.documents.signing_key}", "The signing key")
    return patient.documents.issuer


def check_revocations(patient: Patient) -> str:
    """Look whether what operators revoked can be read; else no deploy goes on."""
    records = RevocationRecords(patient.vault, patient.environment.vault.revocations_mount).read_all()
    held = [name for name, record in records.items() if record.is_whole or record.users]
    return f"revoked: {', '.join(held)}" if held else "nothing is revoked"
