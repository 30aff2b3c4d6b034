"""One text for one value, and its digest: what is shown, approved and executed is compared by these bytes.

Sorted keys, no white space, no NaN, text as it is. A case is stored as this text, never as a structure that a store
might write differently.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Return the one JSON text of `value`; raise ValueError for what is no JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_text(text: str) -> str:
    """Return `sha256:` and the hexadecimal digest of `text` in UTF-8."""
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def digest_value(value: Any) -> str:  # noqa: ANN401 - as above
    """Return the digest of the canonical text of `value`."""
    return digest_text(canonical_json(value))
