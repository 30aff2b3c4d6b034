"""Values as they travel between engine and provider: unknowns, secrets, numbers.

The two signatures are the protocol's own (sdk/go/common/resource/properties.go in pulumi/pulumi).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format, struct_pb2  # type: ignore[import-untyped]  # protobuf ships no types

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Values = dict[str, Any]

UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 -- the mark of a secret, not a secret


def load(struct: struct_pb2.Struct) -> Values:
    """Return the values of `struct` without their secret marks; whole numbers are ints."""
    values: Values = _plain(json_format.MessageToDict(struct))
    return values


def secret_names(struct: struct_pb2.Struct) -> frozenset[str]:
    """Return the properties of `struct` that are secret or hold a secret."""
    return frozenset(name for name, value in json_format.MessageToDict(struct).items() if _holds_secret(value))


def dump(values: Mapping[str, Any], secrets: Iterable[str] = ()) -> struct_pb2.Struct:
    """Return `values` for the wire, without None, those in `secrets` marked as secret.

    `secrets` names properties, `a.b` one inside another; a name that is not there is no mistake.
    """
    marked = {name: value for name, value in values.items() if value is not None}
    for path in sorted(secrets, reverse=True):  # what is inside first, then what holds it
        name, _, inner = path.partition(".")
        value = marked.get(name)
        if inner and isinstance(value, dict) and SIGNATURE not in value and inner in value:
            marked[name] = {**value, inner: _secret(value[inner])}
        elif not inner and name in marked:
            marked[name] = _secret(value)
    struct = struct_pb2.Struct()
    struct.update(marked)
    return struct


def has_unknown(value: object) -> bool:
    """Say whether `value` is unknown or holds an unknown, as at preview."""
    if isinstance(value, dict):
        return any(has_unknown(part) for part in value.values())
    if isinstance(value, list):
        return any(has_unknown(part) for part in value)
    return value == UNKNOWN


def _secret(value: object) -> dict[str, object]:
    return {SIGNATURE: SECRET, "value": value}


def _plain(value: Any) -> Any:  # noqa: ANN401 -- JSON
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return _plain(value.get("value"))
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return value.get(SIGNATURE) == SECRET or any(_holds_secret(part) for part in value.values())
    if isinstance(value, list):
        return any(_holds_secret(part) for part in value)
    return False
