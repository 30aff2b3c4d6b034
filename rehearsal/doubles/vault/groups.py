"""Groups of the identity provider as Vault knows them: `vault.identity.Group` and `vault.identity.GroupAlias`.

Vault makes up their ids. Who is in an external group is told by each login, so members are no input here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.doubles.resource import DoubleError, Live, ResourceType
from rehearsal.doubles.vault.settings import Fields

if TYPE_CHECKING:
    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values


def _made_up_id(collection: str, fields: Fields, *, replace: frozenset[str]) -> ResourceType[Vault]:
    """Return the type whose resources stand at `identity/<collection>/id/<id>`."""

    def create(vault: Vault, inputs: Values) -> tuple[str, Values]:
        made = vault.write(f"identity/{collection}", fields.encode({}, inputs))
        if not made.get("id"):
            raise DoubleError(f"Vault has such a {collection} already")
        return str(made["id"]), {}

    def read(vault: Vault, resource_id: str) -> Live | None:
        data = vault.read(f"identity/{collection}/id/{resource_id}")
        return None if data is None else Live(fields.decode(data))

    def update(vault: Vault, resource_id: str, old: Values, new: Values) -> Values:
        vault.write(f"identity/{collection}/id/{resource_id}", fields.encode(old, new))
        return {}

    def delete(vault: Vault, resource_id: str, _state: Values) -> None:
        vault.delete(f"identity/{collection}/id/{resource_id}")

    names = frozenset(fields.absent)
    return ResourceType(
        create=create,
        read=read,
        update=update,
        delete=delete,
        required=replace,
        replace=replace,
        identity=frozenset({"name"}) if collection == "group" else replace,
        known=names,
        absent=fields.absent,
        unordered=frozenset({"policies"}) & names,
    )


GROUP: Final = _made_up_id(
    "group", Fields({"name": "", "policies": [], "type": "internal"}), replace=frozenset({"type"})
)
GROUP_ALIAS: Final = _made_up_id(
    "group-alias",
    Fields({"canonicalId": "", "mountAccessor": "", "name": ""}),
    replace=frozenset({"canonicalId", "mountAccessor", "name"}),
)
