"""From the syntax tree to typed values, as the server's decoder fills its structures.

Repeated attributes are kept as the server keeps them: lists grow, maps merge, the last scalar wins. Each function
takes the entries found under one key and raises VaultPolicyError where the server refuses them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from narrowgate.access.vault.durations import parse_duration
from narrowgate.access.vault.errors import VaultPolicyError
from narrowgate.access.vault.policy import Opaque, PolicyNumber
from narrowgate.access.vault.scanner import Kind
from narrowgate.access.vault.syntax import Item, ListNode, Literal, Node, ObjectNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TEXT = frozenset({Kind.STRING, Kind.HEREDOC})
_GO_INTEGER = re.compile(r"[+-]?(?:0[xX](_?[0-9a-fA-F]+)+|0[bB](_?[01]+)+|0[oO]?(_?[0-7]+)+|[1-9](_?[0-9]+)*|0)")


def refuse(message: str, node: Node | Item, policy: str) -> VaultPolicyError:
    """Return (not raise) the error for a place in the tree."""
    return VaultPolicyError(message, line=node.line, column=node.column, policy=policy)


def check_keys(items: Iterable[Item], valid: frozenset[str], what: str, policy: str) -> None:
    """Refuse any entry whose first key is not in `valid`."""
    for item in items:
        if item.keys[0] not in valid:
            raise refuse(f"invalid key {item.keys[0]!r} in {what}", item, policy)


def as_text(node: Node, what: str, policy: str) -> str:
    """Return a string, or the digits of an integer, which the server takes for a string too."""
    if isinstance(node, Literal):
        if node.kind is Kind.NUMBER:
            return node.text
        if node.kind in _TEXT:
            return str(node.value)
    raise refuse(f"{what} must be a string", node, policy)


def as_integer(node: Node, what: str, policy: str) -> int:
    """Return an integer, written as a number or as a string in Go's notation."""
    if isinstance(node, Literal):
        if node.kind is Kind.NUMBER and node.value is not None:
            return int(node.value)
        if node.kind is Kind.STRING and _GO_INTEGER.fullmatch(str(node.value)):
            text = str(node.value)
            octal = re.fullmatch(r"([+-]?)0([0-7_]+)", text)
            return int(f"{octal.group(1)}0o{octal.group(2).strip('_')}", 8) if octal else int(text, 0)
    raise refuse(f"{what} must be an integer", node, policy)


def last_text(items: Sequence[Item], what: str, policy: str) -> str:
    """Return the last of the strings under one key, or an empty one."""
    value = ""
    for item in items:
        value = as_text(_plain(item, what, policy), what, policy)
    return value


def last_integer(items: Sequence[Item], what: str, policy: str) -> int:
    """Return the last of the integers under one key, or 0."""
    value = 0
    for item in items:
        value = as_integer(_plain(item, what, policy), what, policy)
    return value


def last_boolean(items: Sequence[Item], what: str, policy: str) -> bool:
    """Return the last of the booleans under one key, or false."""
    value = False
    for item in items:
        node = _plain(item, what, policy)
        if not isinstance(node, Literal) or node.kind is not Kind.BOOL:
            raise refuse(f"{what} must be true or false", node, policy)
        value = bool(node.value)
    return value


def text_list(items: Sequence[Item], what: str, policy: str) -> tuple[str, ...]:
    """Return the strings of all lists under one key, one after another."""
    texts: list[str] = []
    for item in items:
        node = _plain(item, what, policy)
        if isinstance(node, ObjectNode) and not node.items:
            continue  # an empty block stands for an empty list
        if not isinstance(node, ListNode):
            raise refuse(f"{what} must be a list of strings", node, policy)
        texts.extend(as_text(member, f"a member of {what}", policy) for member in node.items)
    return tuple(texts)


def scalar(items: Sequence[Item], what: str, policy: str) -> str | int | float | None:
    """Return a string or number that may be written as either; a repetition takes the first one's type."""
    value: str | int | float | None = None
    for item in items:
        node = _plain(item, what, policy)
        if not isinstance(node, Literal) or node.kind is Kind.BOOL or node.value is None:
            raise refuse(f"{what} must be a string or a number", node, policy)
        if value is None:
            value = node.value
        elif isinstance(value, str):
            value = as_text(node, what, policy)
        elif isinstance(value, int):
            value = as_integer(node, what, policy)
        else:
            value = float(node.value)
    return value


def duration(items: Sequence[Item], what: str, at: Item, policy: str) -> int:
    """Return a length of time in nanoseconds, 0 where the key does not occur."""
    value = scalar(items, what, policy)
    try:
        return 0 if value is None else parse_duration(value)
    except ValueError as error:
        raise refuse(f"{what}: {error}", at, policy) from error


def parameter_lists(items: Sequence[Item], what: str, policy: str) -> dict[str, tuple[Any, ...]] | None:
    """Return the map from a parameter's name to its values; None where the key does not occur."""
    if not items:
        return None
    merged: dict[str, tuple[Any, ...]] = {}
    # The decoder takes entries with a label (`allowed_parameters "name" {…}`) before plain ones.
    labelled = [item for item in items if item.keys]
    plain: list[Item] = []
    for item in items:
        if item.keys:
            continue
        if not isinstance(item.value, ObjectNode):
            raise refuse(f"{what} must be a map of lists", item.value, policy)
        plain.extend(item.value.items)
    for entry in [*labelled, *plain]:
        name = entry.keys[0]
        if len(entry.keys) > 1:
            raise refuse(f"{what} {name!r} must be a list", entry, policy)
        merged[name] = merged.get(name, ()) + _value_list(entry.value, f"{what} {name!r}", policy)
    return merged


def _plain(item: Item, what: str, policy: str) -> Node:
    if item.keys:
        raise refuse(f"{what} takes no label {item.keys[0]!r}", item, policy)
    return item.value


def _value_list(node: Node, what: str, policy: str) -> tuple[Any, ...]:
    if isinstance(node, ListNode):
        return tuple(_in_list(member, policy) for member in node.items)
    if isinstance(node, ObjectNode):
        return (_in_list(node, policy),)
    raise refuse(f"{what} must be a list", node, policy)


def _in_list(node: Node, policy: str) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, Literal):
        if node.value is None:
            raise refuse(f"illegal number {node.text!r}", node, policy)
        if node.kind in (Kind.NUMBER, Kind.FLOAT):
            return PolicyNumber(node.value)  # type: ignore[arg-type]  # the kind says that it is a number
        return node.value
    if isinstance(node, ListNode):
        return tuple(_in_list(member, policy) for member in node.items)
    return _object_value(node, policy)


def _object_value(node: ObjectNode, policy: str) -> Any:  # noqa: ANN401 - a map, or the value that nothing equals
    result: dict[str, Any] = {}
    for item in node.items:
        if len(item.keys) != 1 or isinstance(item.value, ObjectNode):
            return Opaque.NEVER_EQUAL
        result[item.keys[0]] = _in_list(item.value, policy)
    return result
