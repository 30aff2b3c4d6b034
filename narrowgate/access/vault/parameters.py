"""Whether a request's data passes the parameter lists of a rule. Must not know about paths or policies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.policy import Opaque

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from narrowgate.access.vault.policy import Permissions

ANY = "*"
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def value_listed(value: object, values: Sequence[Any]) -> bool:
    """Tell whether a list admits a value: an empty list admits all, strings match with `*` at either end."""
    return not values or any(_matches(listed, value) for listed in values)


def _matches(listed: object, value: object) -> bool:
    if isinstance(listed, str) and isinstance(value, str):
        return glob_matches(listed, value)
    return same_value(listed, value)


def glob_matches(pattern: str, value: str) -> bool:
    """Tell whether `value` matches, where `*` stands only at the start or the end; `*` alone is literal."""
    if len(pattern.encode("utf-8", "surrogateescape")) < 2:  # noqa: PLR2004 - too short to have a glob and a text
        return value == pattern
    head, tail = pattern.startswith(ANY), pattern.endswith(ANY)
    if head and tail:
        return pattern[1:-1] in value
    if head:
        return value.endswith(pattern[1:])
    if tail:
        return value.startswith(pattern[:-1])
    return value == pattern


def same_value(  # noqa: PLR0911 - one return for each JSON type
    listed: object, value: object
) -> bool:
    """Tell whether a policy's value equals a request's: same JSON type throughout; numbers never are equal."""
    if isinstance(listed, bool) or isinstance(value, bool):
        return listed is value
    if isinstance(listed, str):
        return isinstance(value, str) and listed == value
    if isinstance(listed, tuple):
        if not isinstance(value, (list, tuple)) or len(value) != len(listed):
            return False
        return all(same_value(*pair) for pair in zip(listed, value, strict=True))
    if isinstance(listed, dict):
        if not isinstance(value, dict) or value.keys() != listed.keys():
            return False
        return all(same_value(listed[key], value[key]) for key in listed)
    return False


def as_query(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a read's parameters as the server gets them in a query: texts, or several texts under one name."""
    return {name: _as_query_value(value) for name, value in data.items()}


def _as_query_value(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return _as_query_value(value[0]) if len(value) == 1 else Opaque.NEVER_EQUAL
    return value if isinstance(value, str) or value is None else str(value)


def refusal(permissions: Permissions, data: Mapping[str, Any]) -> str | None:
    """Return why the parameters are refused, or None. `data` is the request's body, or its query on a read."""
    for name in permissions.required_parameters:
        if name.lower() not in data:
            return f"parameter {name!r} is required"
    if not data:
        return None
    denied, allowed = permissions.denied_parameters or {}, permissions.allowed_parameters or {}
    return _denied(denied, data) or _not_allowed(allowed, data)


def _denied(lists: Mapping[str, Sequence[Any]], data: Mapping[str, Any]) -> str | None:
    if ANY in lists:
        return "all parameters are denied"
    for name, value in data.items():
        if name.lower() in lists and value_listed(value, lists[name.lower()]):
            return f"parameter {name!r} is denied"
    return None


def _not_allowed(lists: Mapping[str, Sequence[Any]], data: Mapping[str, Any]) -> str | None:
    if not lists or (ANY in lists and len(lists) == 1):
        return None
    for name, value in data.items():
        values = lists.get(name.lower())
        if values is None and ANY not in lists:
            return f"parameter {name!r} is not allowed"
        if values is not None and not value_listed(value, values):
            return f"the value of parameter {name!r} is not allowed"
    return None


def limit_refusal(permissions: Permissions, data: Mapping[str, Any]) -> str | None:
    """Return why a list or scan request is refused for its page size, or None (OpenBao's `pagination_limit`)."""
    most = permissions.pagination_limit
    if most <= 0:
        return None
    if "limit" not in data:
        required = any(name.lower() == "limit" for name in permissions.required_parameters)
        return "parameter 'limit' is required" if required else None
    text = str(data["limit"])
    if text == "max":
        return None
    if text and not _INTEGER.fullmatch(text):
        return "parameter 'limit' must be an integer or 'max'"
    return None if 0 <= int(text or "0") <= most else f"parameter 'limit' must be 0 to {most}"
