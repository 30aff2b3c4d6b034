"""Whether one path's permissions allow a request that another's do not, capability by capability.

A request has, beside its path and capability, a wrapping TTL and parameters. Each is sorted into the finitely many
classes that both sides tell apart, so that the answer is exact. Must not know about paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.decision import Reason, judge, wrapping_refusal
from narrowgate.access.vault.durations import SECOND
from narrowgate.access.vault.parameters import ANY, as_query, refusal, value_listed
from narrowgate.access.vault.policy import ControlGroup, Opaque, Permissions, PolicyNumber

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WITH_PARAMETERS = frozenset({"create", "read", "update", "patch"})
_WITH_LIMIT = frozenset({"list", "scan"})
_FRESH_LETTERS = (*range(0x78, 0x7B), *range(0x61, 0x78))  # x, y, z, then a to w
_MORE_LETTERS = range(0x3B1, 0xD800)
_MAX_GLOBS = 60  # pairs of them are tried


class UndecidedError(Exception):
    """The difference is of a kind that no request shows, or too large to search; the text says which."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request carries beside its path and capability. `wrap_ns` is in nanoseconds, None for no wrapping."""

    parameters: dict[str, Any] = field(default_factory=dict)
    wrap_ns: int | None = None


def find_ask(permissions: Permissions | None, capability: str) -> Ask | None:
    """Return what a request needs to be allowed (or held for approval), or None when nothing helps."""
    return find_excess(None, permissions, capability)


def find_excess(old: Permissions | None, new: Permissions | None, capability: str) -> Ask | None:
    """Return what a request carries that `new` allows and `old` does not, control groups aside; None if nothing.

    Raises UndecidedError where the lists of values are too long to search.
    """
    before, after = _granting(old, capability), _granting(new, capability)
    if after is None or (before is not None and (before == after or _is_unrestricted(before))):
        return None
    if capability == "sudo":
        return Ask() if before is None else None
    wraps = [wrap for wrap in _wrap_candidates(before, after) if wrapping_refusal(after, wrap) is None]
    some_data = _some_data(before, after, capability) if wraps else None
    if some_data is None:
        return None  # nothing passes the restrictions
    if before is None:
        return Ask(some_data, wraps[0])
    return _find_restricted(before, after, capability, wraps, some_data)


def _find_restricted(
    old: Permissions, new: Permissions, capability: str, wraps: list[int | None], some_data: dict[str, Any]
) -> Ask | None:
    for wrap in wraps:
        if wrapping_refusal(old, wrap) is not None:
            return Ask(some_data, wrap)
    for data in _data_candidates(old, new, capability):
        if _admits(new, capability, data) and not _admits(old, capability, data):
            return Ask(data, wraps[0])
    return None


def _granting(permissions: Permissions | None, capability: str) -> Permissions | None:
    """Return the permissions if they grant the capability."""
    if permissions is None or permissions.denied or capability not in permissions.capabilities:
        return None
    return permissions


def check_hidden(old: Permissions, new: Permissions, capability: str) -> None:
    """Raise UndecidedError for what no single request shows: MFA, filtered lists, a changed control group."""
    if not old.mfa_methods <= new.mfa_methods:
        raise UndecidedError("the new policies ask for fewer MFA methods")
    if capability in _WITH_LIMIT and old.list_filter_path not in ("", new.list_filter_path):
        raise UndecidedError("the new policies filter lists otherwise")
    if old.control_group and new.control_group and not gate_holds(old.control_group, new.control_group, capability):
        raise UndecidedError("the new policies change who approves")


def is_gated(permissions: Permissions, capability: str, *, control_groups: bool) -> bool:
    """Tell whether a request of this capability is held for approval."""
    group = permissions.control_group
    return control_groups and group is not None and group.controls(capability)


def gate_holds(old: ControlGroup, new: ControlGroup, capability: str) -> bool:
    """Tell whether the new control group asks for at least what the old one did, for one capability."""
    if not old.controls(capability):
        return True
    if new.self_authorization and not old.self_authorization:
        return False
    if new.ttl_ns != old.ttl_ns and not 0 < new.ttl_ns <= old.ttl_ns:
        return False
    return all(
        any(
            new_factor.controls(capability)
            and new_factor.approvals >= old_factor.approvals
            and set(new_factor.group_names) <= set(old_factor.group_names)
            for new_factor in new.factors
        )
        for old_factor in old.factors
        if old_factor.controls(capability)
    )


def _is_unrestricted(permissions: Permissions) -> bool:
    """Tell whether a granted capability needs nothing more of a request."""
    return not (
        permissions.allowed_parameters
        or permissions.denied_parameters
        or permissions.required_parameters
        or permissions.min_wrapping_ttl_ns
        or permissions.max_wrapping_ttl_ns
        or permissions.pagination_limit
    )


def _admits(permissions: Permissions, capability: str, data: Mapping[str, Any]) -> bool:
    """Tell whether the parameters pass; the permissions grant the capability and wrapping is looked at elsewhere."""
    if capability in _WITH_PARAMETERS:
        return refusal(permissions, as_query(data) if capability == "read" else data) is None
    unwrapped = Permissions(
        capabilities=permissions.capabilities,
        required_parameters=permissions.required_parameters,
        pagination_limit=permissions.pagination_limit,
    )
    return judge(unwrapped, capability, data, None, sudo=False)[0] is Reason.ALLOWED


def _wrap_candidates(old: Permissions | None, new: Permissions) -> list[int | None]:
    """Return a TTL for each side of each bound, no wrapping first."""
    found: dict[int | None, None] = {None: None}
    for permissions in (old, new):
        if permissions is not None:
            for bound in (permissions.min_wrapping_ttl_ns, permissions.max_wrapping_ttl_ns):
                for step in (0, -SECOND, SECOND, -1, 1):
                    if bound > 0 and bound + step > 0:
                        found[bound + step] = None
    found[0] = None
    return list(found)


def _some_data(old: Permissions | None, new: Permissions, capability: str) -> dict[str, Any] | None:
    """Return parameters that `new` admits, the fewest, or None when it admits none at all."""
    if capability in _WITH_LIMIT:
        return next((data for data in _limits(old, new) if _admits(new, capability, data)), None)
    if capability not in _WITH_PARAMETERS:
        return {}
    data: dict[str, Any] = {}
    for name in dict.fromkeys(required.lower() for required in new.required_parameters):
        value = next((v for v in _values(old, new, name, capability) if _value_passes(new, name, v, capability)), None)
        if value is None:
            return None
        data[name] = value.value
    return data if _admits(new, capability, data) else None


def _data_candidates(old: Permissions, new: Permissions, capability: str) -> Iterator[dict[str, Any]]:
    """Yield parameters among which is a witness if there is any: the fewest, and those with one other value.

    Enough, since both sides judge each parameter alone: if `old` refuses for one parameter's value, it refuses the
    fewest with that value too; if it misses one, it misses it among the fewest.
    """
    if capability in _WITH_LIMIT:
        yield from _limits(old, new)
        return
    base = _some_data(old, new, capability)
    if base is None or capability not in _WITH_PARAMETERS:
        return
    yield base
    for name in _names(old, new):
        for value in _values(old, new, name, capability):
            yield {**base, name: value.value}


def _limits(old: Permissions | None, new: Permissions) -> Iterator[dict[str, Any]]:
    yield {}
    for permissions in (new, old):
        if permissions is not None and permissions.pagination_limit > 0:
            for number in (permissions.pagination_limit, permissions.pagination_limit + 1):
                yield {"limit": str(number)}
    yield from ({"limit": text} for text in ("max", "1", "-1", "x"))


def _names(old: Permissions, new: Permissions) -> list[str]:
    found: dict[str, None] = {}
    for permissions in (new, old):
        for lists in (permissions.allowed_parameters, permissions.denied_parameters):
            found.update(dict.fromkeys(lists or {}))
        found.update(dict.fromkeys(name.lower() for name in permissions.required_parameters))
    fresh = "parameter"
    while fresh in found:
        fresh += "x"
    return [*found, fresh]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value to try; a box, since the value itself may be None or false."""

    value: Any


def _value_passes(permissions: Permissions, name: str, box: _Value, capability: str) -> bool:
    data = as_query({name: box.value}) if capability == "read" else {name: box.value}
    denied = permissions.denied_parameters or {}
    allowed = permissions.allowed_parameters or {}
    if ANY in denied or (name in denied and value_listed(data[name], denied[name])):
        return False
    if not allowed or (ANY in allowed and len(allowed) == 1):
        return True
    return value_listed(data[name], allowed[name]) if name in allowed else ANY in allowed


def _values(old: Permissions | None, new: Permissions, name: str, capability: str) -> list[_Value]:
    """Return a value for each class that both sides' lists for a parameter tell apart."""
    listed = [*_listed(old, name), *_listed(new, name)]
    texts = [value for value in listed if isinstance(value, str)]
    found = [_Value(text) for text in _text_values(texts)]
    if capability == "read":
        return [*found, _Value(["x", "y"])]  # one name twice in the query
    others = [_Value(as_json) for value in listed for as_json in _as_json(value)]
    return [*found, *others, _Value(True), _Value(False), _Value(0), _Value(None), _Value({"x": 0})]  # noqa: FBT003 - a value


def _listed(permissions: Permissions | None, name: str) -> list[Any]:
    if permissions is None:
        return []
    lists = (permissions.allowed_parameters, permissions.denied_parameters)
    return [value for each in lists for value in (each or {}).get(name, ())]


def _as_json(value: object) -> Iterable[Any]:
    """Return a policy's value as a request would carry it, if any request can equal it."""
    if isinstance(value, (PolicyNumber, Opaque, str)):
        return []
    if isinstance(value, tuple):
        members = [list(_as_json_or_text(member)) for member in value]
        return [[member[0] for member in members]] if all(members) else []
    if isinstance(value, dict):
        pairs = {key: list(_as_json_or_text(member)) for key, member in value.items()}
        return [{key: member[0] for key, member in pairs.items()}] if all(pairs.values()) else []
    return [value]


def _as_json_or_text(value: object) -> Iterable[Any]:
    return [value] if isinstance(value, str) else _as_json(value)


def _text_values(texts: list[str]) -> list[str]:
    """Return a text for each class worth trying: each one listed, and the shortest for each pair of globs.

    Pairs are enough: a witness must match at most one pattern that allows it and one that denies it on the other
    side, and matching fewer others never hurts.
    """
    globs = list(dict.fromkeys(text for text in texts if len(text) > 1 and ANY in (text[0], text[-1])))
    if len(globs) > _MAX_GLOBS:
        raise UndecidedError(f"more than {_MAX_GLOBS} patterns for one parameter")
    used = set("".join(texts))
    fresh = next(char for char in map(chr, chain(_FRESH_LETTERS, _MORE_LETTERS)) if char not in used)
    found = dict.fromkeys([fresh, *texts])
    for first in globs:
        for second in globs:
            found[_match_both(first, second, fresh)] = None
    return list(found)


def _match_both(first: str, second: str, fresh: str) -> str:
    """Return a text that matches both globs if one does, and as little else as can be."""
    starts, ends, inner = [""], [""], []
    for glob in (first, second):
        head, tail = glob.startswith(ANY), glob.endswith(ANY)
        if head and tail:
            inner.append(glob[1:-1])
        elif head:
            ends.append(glob[1:])
        else:
            starts.append(glob[:-1])
    return fresh.join([max(starts, key=len), *inner, max(ends, key=len)])
