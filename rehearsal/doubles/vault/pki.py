"""Client certificates: a root CA that Vault makes and keeps, and the roles that say what it signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.doubles.resource import Failure, Live, ResourceType
from rehearsal.doubles.vault.mounts import duration_seconds
from rehearsal.doubles.vault.settings import Fields, settings_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values


def same_duration(one: object, other: object) -> bool:
    """Say whether two durations are equally long: the SDK takes texts, the API answers in seconds."""
    return duration_seconds(one) == duration_seconds(other)


PKI_ROLE: Final[ResourceType[Vault]] = settings_type(
    "{backend}/roles/{name}",
    Fields(
        {
            "allowAnyName": False,
            "allowBareDomains": False,
            "allowGlobDomains": False,
            "allowIpSans": True,
            "allowLocalhost": True,
            "allowSubdomains": False,
            "allowWildcardCertificates": True,
            "allowedDomains": [],
            "allowedOtherSans": [],
            "allowedUriSans": [],
            "allowedUriSansTemplate": False,
            "clientFlag": True,
            "codeSigningFlag": False,
            "emailProtectionFlag": False,
            "enforceHostnames": True,
            "issuerRef": "default",
            "keyBits": 2048,
            "keyType": "rsa",
            "maxTtl": "0",
            "noStore": False,
            "requireCn": True,
            "serverFlag": True,
            "ttl": "0",
            "useCsrCommonName": True,
            "useCsrSans": True,
        }
    ),
    unordered=frozenset({"allowedDomains", "allowedUriSans"}),
    equal={"maxTtl": same_duration, "ttl": same_duration},
)

ROOT_REQUEST: Final = Fields(
    {
        "commonName": "",
        "excludeCnFromSans": False,
        "issuerName": "",
        "keyBits": 0,
        "keyType": "rsa",
        "maxPathLength": -1,
        "ttl": "",
    }
)
ROOT_OUTPUTS: Final = {"certificate": "certificate", "issuerId": "issuer_id", "keyId": "key_id"}


def _refuse_exported(inputs: Values) -> Iterable[Failure]:
    if inputs.get("type") not in {None, "internal"}:
        yield Failure("type", "the rehearsal's double makes only CAs whose key stays in Vault: `internal`")


def _create_root(vault: Vault, inputs: Values) -> tuple[str, Values]:
    answer = vault.write(f"{inputs['backend']}/root/generate/internal", ROOT_REQUEST.encode({}, inputs))
    outputs = {name: answer[field] for name, field in ROOT_OUTPUTS.items()}
    return f"{inputs['backend']}/issuer/{outputs['issuerId']}", outputs


def _read_root(vault: Vault, path: str) -> Live | None:
    backend, issuer = path.rsplit("/issuer/", 1)
    # Asked for an issuer that it does not have, Vault answers that it failed, not that there is none.
    data = vault.read(path) if issuer in vault.list_keys(f"{backend}/issuers") else None
    if data is None:
        return None
    return Live({"backend": backend, "type": "internal"}, {name: data.get(f, "") for name, f in ROOT_OUTPUTS.items()})


def _delete_root(vault: Vault, path: str, state: Values) -> None:
    vault.delete(path)
    vault.delete(f"{path.rsplit('/issuer/', 1)[0]}/key/{state['keyId']}")


PKI_ROOT: Final[ResourceType[Vault]] = ResourceType(
    create=_create_root,
    read=_read_root,
    delete=_delete_root,
    required=frozenset({"backend", "commonName", "type"}),
    identity=frozenset({"backend"}),
    computed=frozenset(ROOT_OUTPUTS),
    known=frozenset({"backend", "type", *ROOT_REQUEST.absent}),
    checks=(_refuse_exported,),
)
