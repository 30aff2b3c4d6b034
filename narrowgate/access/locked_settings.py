"""Compares settings of Vault's things, and grants in PostgreSQL, with those that the lock compiles to.

A setting that is left out counts as Vault's own default. Two spellings of one value (900 and `15m`, a list and a text
with commas) are equal. Whatever differs is named; nothing here decides that a different value is a narrower one, but
for grants, where fewer columns and fewer rows are. This module must not read files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from narrowgate.access.vault.durations import SECOND, parse_duration

Json = Mapping[str, Any]

ACCESSOR: Final = r"auth_[A-Za-z0-9_]+"
"""What Vault makes up for an auth mount; the lock holds a placeholder in its place."""

DEFAULTS: Final[Mapping[str, Json]] = {
    "login": {
        "alias_name_source": "serviceaccount_uid",
        "auth_type": "iam",
        "bind_secret_id": True,
        "bound_claims_type": "string",
        "callback_mode": "client",
        "resolve_aws_unique_ids": True,
        "role_type": "oidc",
        "token_type": "default",
    },
    "aws": {},
    "database": {"credential_type": "password"},
    "identity": {"ttl": 86400},
    "pki": {
        "allow_ip_sans": True,
        "allow_localhost": True,
        "allow_wildcard_certificates": True,
        "client_flag": True,
        "cn_validations": ["email", "hostname"],
        "enforce_hostnames": True,
        "issuer_ref": "default",
        "key_bits": 2048,
        "key_type": "rsa",
        "key_usage": ["DigitalSignature", "KeyAgreement", "KeyEncipherment"],
        "not_after_bound": "permit",
        "not_before_bound": "permit",
        "not_before_duration": 30,
        "require_cn": True,
        "server_flag": True,
        "use_csr_common_name": True,
        "use_csr_sans": True,
    },
}
"""What the server takes where a setting is left out and that is not empty, false or 0, as OpenBao 2.7 and Vault's AWS
login answer it. `callback_mode`, `not_after_bound` and `not_before_bound` are OpenBao's own."""

_TIMES: Final = re.compile(r".*(?:ttl|leeway|period|duration)$")
_COMMA: Final = re.compile(r"\s*,\s*")


def differing(
    locked: Json, given: Json, kind: str, *, unknown: frozenset[str] = frozenset(), placeholder: str | None = None
) -> list[str]:
    """Return the sorted names of the settings in which `given` differs from `locked`; `unknown` ones are passed over.

    `placeholder` stands in the lock's texts for an auth mount's accessor.
    """
    defaults = DEFAULTS.get(kind, {})
    return sorted(
        name
        for name in locked.keys() | given.keys()
        if name not in unknown
        and not _is_same(name, locked.get(name, defaults.get(name)), given.get(name, defaults.get(name)), placeholder)
    )


def _is_same(name: str, locked: object, given: object, placeholder: str | None) -> bool:
    if locked == given:
        return True
    if placeholder and isinstance(locked, str) and isinstance(given, str) and placeholder in locked:
        return re.fullmatch(ACCESSOR.join(map(re.escape, locked.split(placeholder))), given) is not None
    return _canonical(name, locked) == _canonical(name, given)


def _canonical(name: str, value: object) -> str:
    """Return a value as text that is equal for equal settings; lists have no order, and what is empty is absent."""
    if not value:
        return ""
    if _TIMES.fullmatch(name):
        return _seconds(value)
    if isinstance(value, Mapping):
        value = {str(key): _as_list(item) for key, item in value.items()}
    elif isinstance(value, (list, tuple)):
        value = sorted(value, key=str)
        value = value[0] if len(value) == 1 else value
    return json.dumps(value, sort_keys=True, default=str)


def _as_list(value: object) -> object:
    """Return accepted values of one claim as a sorted list, however they are spelled."""
    if isinstance(value, str):
        return sorted(part for part in _COMMA.split(value) if part)
    return sorted(value, key=str) if isinstance(value, (list, tuple)) else value


def _seconds(value: object) -> str:
    try:
        return str(parse_duration(value) // SECOND) if isinstance(value, (str, int, float)) else str(value)
    except ValueError:
        return f"no duration: {value}"


def wider_table(locked: Sequence[Json], given: Json) -> str | None:
    """Return what one table grant has beyond all of `locked`, in words; None where it is within one of them."""
    table = f"{given.get('schema')}.{given.get('table')}"
    privilege = str(given.get("privilege"))
    same = [grant for grant in locked if all(grant[key] == given.get(key) for key in ("schema", "table", "privilege"))]
    if not same:
        return f"{privilege} on {table}"
    columns, rows = set(given.get("columns") or ()), given.get("rows") or [{}]
    for grant in same:
        allowed = set(grant["columns"])
        if (allowed and not (columns and columns <= allowed)) or (not allowed and columns):
            continue
        if all(any(_covers(wide, row) for wide in grant["rows"] or [{}]) for row in rows):
            return None
    extra = sorted(columns - {column for grant in same for column in grant["columns"]})
    what = f" of the columns {', '.join(extra)}" if extra else " in other rows"
    return f"{privilege} on {table}{what}"


def _covers(wide: Json, narrow: Json) -> bool:
    """Tell whether every row that fits `narrow` ({column: [values]}) fits `wide`."""
    return all(
        column in narrow and {json.dumps(v) for v in narrow[column]} <= {json.dumps(v) for v in values}
        for column, values in wide.items()
    )
