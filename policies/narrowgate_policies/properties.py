"""A resource's properties as plain values, with what is not known at preview marked as such.

The SDK's proxy raises when an unknown value is read, and the engine then makes that an advisory. Here unknown values
become `UNKNOWN`, so that a rule decides what they mean. This module must not know any resource type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Final

from pulumi_policy.proxy import UnknownValueError


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
"""A value that is not known before deploy."""


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON in, JSON (with UNKNOWN) out
    """Return a copy of `value` without proxies, unknown values replaced by `UNKNOWN`."""
    if isinstance(value, Mapping):
        return {str(key): _read(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_read(value, index) for index in range(len(value))]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


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


def _read(container: Any, key: Any) -> Any:  # noqa: ANN401 - as above
    try:
        value = container[key]
    except UnknownValueError:
        return UNKNOWN
    return plain(value)
