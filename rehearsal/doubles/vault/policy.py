"""`vault.Policy`: one ACL policy, whose id is its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.doubles.resource import Live, ResourceType

if TYPE_CHECKING:
    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values


def _write(vault: Vault, name: str, _old: Values, new: Values) -> Values:
    vault.write(f"sys/policies/acl/{name}", {"policy": new["policy"]})
    return {}


def _create(vault: Vault, inputs: Values) -> tuple[str, Values]:
    return inputs["name"], _write(vault, inputs["name"], {}, inputs)


def _read(vault: Vault, name: str) -> Live | None:
    data = vault.read(f"sys/policies/acl/{name}")
    return None if data is None else Live({"name": name, "policy": data["policy"]})


def _delete(vault: Vault, name: str, _state: Values) -> None:
    vault.delete(f"sys/policies/acl/{name}")


POLICY: Final[ResourceType[Vault]] = ResourceType(
    create=_create,
    read=_read,
    update=_write,
    delete=_delete,
    required=frozenset({"name", "policy"}),
    replace=frozenset({"name"}),
    identity=frozenset({"name"}),
    known=frozenset({"name", "policy"}),
    named_by="name",
)
