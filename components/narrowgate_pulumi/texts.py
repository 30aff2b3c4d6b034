"""Documents as the SDKs take them: JSON text that is the same byte for byte, and plain lists for frozen tuples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def as_json(document: Mapping[str, Any]) -> str:
    """Return `document` as JSON without white space, keys sorted, so that equal documents are equal texts."""
    return json.dumps(thaw(document), sort_keys=True, separators=(",", ":"))


def thaw(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return `value` with tuples as lists and mappings as dicts, all the way down: Pulumi serializes no other."""
    if isinstance(value, Mapping):
        return {key: thaw(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [thaw(part) for part in value]
    return value
