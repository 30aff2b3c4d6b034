"""What every login's role says of the tokens that it gives: the same fields at each kind of auth mount."""

from __future__ import annotations

from typing import Any, Final

TOKEN_FIELDS: Final[dict[str, Any]] = {
    "tokenBoundCidrs": [],
    "tokenExplicitMaxTtl": 0,
    "tokenMaxTtl": 0,
    "tokenNoDefaultPolicy": False,
    "tokenNumUses": 0,
    "tokenPeriod": 0,
    "tokenPolicies": [],
    "tokenTtl": 0,
    "tokenType": "default",
}
TOKEN_LISTS: Final = frozenset({"tokenBoundCidrs", "tokenPolicies"})
