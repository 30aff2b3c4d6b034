"""Resource types whose settings are written to one API path and read from it: most of Vault's.

A table names the properties as the SDK does, with the value that the server has where a program says nothing. The API's
own name is the property in snake case, unless the table says otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.resource import DoubleError, Live, ResourceType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values

HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
PLACE: Final = re.compile(r"{(\w+)}")


def api_name(name: str) -> str:
    """Return the API's name of a property: `tokenNoDefaultPolicy` is `token_no_default_policy`."""
    return HUMP.sub(r"_\1", name).lower()


@dataclass(frozen=True, slots=True)
class Translation:
    """How one property differs from its API field: another `name`, or another form of its value."""

    name: str
    encode: Callable[[Any], Any] = lambda value: value
    decode: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True, slots=True)
class Fields:
    """The settable properties of a type, with what the server has where a program says nothing."""

    absent: Mapping[str, Any]
    translations: Mapping[str, Translation] = field(default_factory=dict)

    def _translation(self, name: str) -> Translation:
        return self.translations.get(name) or Translation(api_name(name))

    def same(self, one: Values, other: Values) -> bool:
        """Say whether two blocks of these properties mean the same, whatever of it they leave out."""
        return {**self.absent, **one} == {**self.absent, **other}

    def encode(self, old: Values, new: Values) -> Values:
        """Return what to write: all that `new` sets, and the server's own value for what `old` set and `new` does not.

        Vault keeps a field that a write leaves out, so a removed property must be written back.
        """
        data = {}
        for name, absent in self.absent.items():
            if name not in new and name not in old:
                continue
            translation = self._translation(name)
            data[translation.name] = translation.encode(new.get(name, absent))
        return data

    def decode(self, data: Values) -> Values:
        """Return the properties that an answer of the server holds."""
        properties = {}
        for name, absent in self.absent.items():
            translation = self._translation(name)
            if translation.name in data:
                value = translation.decode(data[translation.name])
                properties[name] = absent if value is None else value
        return properties


@dataclass(frozen=True, slots=True)
class ApiPath:
    """A path with places for properties, `{backend}/roles/{name}`; rendered it is the resource's id."""

    template: str

    @property
    def places(self) -> frozenset[str]:
        """Return the properties that the path names."""
        return frozenset(PLACE.findall(self.template))

    def render(self, inputs: Values) -> str:
        """Return the path of a resource."""
        return PLACE.sub(lambda place: str(inputs[place[1]]).strip("/"), self.template)

    def parse(self, path: str) -> Values:
        """Return the properties in `path`; the first place may hold slashes, as mounts do."""
        names = PLACE.findall(self.template)
        pattern = PLACE.sub(lambda place: f"(?P<{place[1]}>{'.+' if place[1] == names[0] else '[^/]+'})", self.template)
        found = re.fullmatch(pattern, path)
        if found is None:
            raise DoubleError(f"{path!r} is not an id of this type: it must look like {self.template}")
        return dict(found.groupdict())


def settings_type(  # noqa: PLR0913 -- the columns of a table
    template: str,
    fields: Fields,
    *,
    required: frozenset[str] = frozenset(),
    unordered: frozenset[str] = frozenset(),
    documents: frozenset[str] = frozenset(),
    secrets: frozenset[str] = frozenset(),
    provider_only: frozenset[str] = frozenset(),
    defaults: Mapping[str, Any] | None = None,
    equal: Mapping[str, Callable[[Any, Any], bool]] | None = None,
    adopt: Callable[[Values, Values], Values] | None = None,
    deletable: bool = True,
    id_place: str | None = None,
) -> ResourceType[Vault]:
    """Return the type whose settings lie at the API path `template`; a change of a place in it replaces.

    What is not `deletable` stays as it is when it leaves the program: its path has no such operation. The id is the
    rendered path, or the value of `id_place` alone where the real provider has it so.
    """
    path = ApiPath(template)

    def locate(resource_id: str) -> str:
        return path.render({id_place: resource_id}) if id_place else resource_id

    def create(vault: Vault, inputs: Values) -> tuple[str, Values]:
        place = path.render(inputs)
        vault.write(place, fields.encode({}, inputs))
        return inputs[id_place] if id_place else place, {}

    def read(vault: Vault, resource_id: str) -> Live | None:
        place = locate(resource_id)
        data = vault.read(place)
        return None if data is None else Live({**path.parse(place), **fields.decode(data)})

    def update(vault: Vault, resource_id: str, old: Values, new: Values) -> Values:
        vault.write(locate(resource_id), fields.encode(old, new))
        return {}

    def delete(vault: Vault, resource_id: str, _state: Values) -> None:
        if deletable:
            vault.delete(locate(resource_id))

    return ResourceType(
        create=create,
        read=read,
        update=update,
        delete=delete,
        required=required | path.places,
        replace=path.places,
        identity=path.places,
        known=path.places | fields.absent.keys() | provider_only,
        absent=fields.absent,
        unordered=unordered,
        documents=documents,
        secrets=secrets,
        defaults=defaults or {},
        equal=equal or {},
        adopt=adopt,
    )
