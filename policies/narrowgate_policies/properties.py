"""A resource's properties as plain values, with what is not known at preview marked as such.

The engine makes an advisory of a policy that meets an unknown value, and lets the resource through. Here unknown values
become `UNKNOWN`, so that a rule decides what they mean. This module must not know any resource type.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.struct_pb2 import Struct, Value  # type: ignore[import-untyped]  # protobuf ships no types


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that is not known before deploy."""


def unpack(packed: Struct) -> dict[str, Any]:
    """Return the properties that the engine hands over, secrets opened; of assets and archives what they name.

    Raises:
        ValueError: a value that the protocol did not have when this was written.

    """
    return {name: _plain(value) for name, value in packed.fields.items()}


def holds_unknown(value: Any) -> bool:  # noqa: ANN401 - as above
    """Tell whether `UNKNOWN` stands anywhere in `value`."""
    if isinstance(value, dict):
        return any(map(holds_unknown, value.values()))
    if isinstance(value, list):
        return any(map(holds_unknown, value))
    return value is UNKNOWN


def document_text(value: Any) -> str:  # noqa: ANN401 - as above
    """Return a policy document as text: the SDKs take an object or JSON text alike."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def snake_case(name: str) -> str:
    """Return a property's name as the service's own API spells it (`boundClaims` is `bound_claims`)."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match.group(1).lower(), name)


def _plain(value: Value) -> Any:  # noqa: ANN401 - as above
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return UNKNOWN if text in UNKNOWN_TEXTS else text
    if kind == "struct_value":
        fields = value.struct_value.fields
        return _signed(fields) if SIGNATURE in fields else {name: _plain(item) for name, item in fields.items()}
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return value.bool_value if kind == "bool_value" else None


def _signed(fields: Mapping[str, Value]) -> Any:  # noqa: ANN401 - as above
    """Return a value that is more than an object: a secret as what it hides, an asset as what it names."""
    signature = fields[SIGNATURE].string_value
    if signature == SECRET:
        return _plain(fields["value"])
    if signature in ASSETS:
        return {name: _plain(item) for name, item in fields.items() if name != SIGNATURE}
    raise ValueError(f"a property of the unknown kind {signature}")


SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - how the protocol marks one
ASSETS: Final = frozenset({"c44067f5952c0a294b673a41bacd8c17", "0def7320c3a5731c473e5ecbe6d01bc7"})
UNKNOWN_TEXTS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # a text
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)
"""The engine's protocol (sdk/go/common/resource/plugin/rpc.go) names these; a test holds them equal to the SDK's."""
