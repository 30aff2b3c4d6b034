"""Writes plain values as YAML block text, byte for byte the same each time.

Only what a lock needs: mappings, sequences and scalars, one item a line, so that a change is a changed line. ruamel
reads what stands here; it does not write it, because a lock of a thousand workflows is written for every comparison.
This module must not know what a value means.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

Value: TypeAlias = "Mapping[str, Value] | Sequence[Value] | str | int | float | bool | None"

# Plain only where no reader of YAML 1.1 or 1.2 takes it for anything but this text: it begins with a letter or a
# slash (so it is no number and no indicator), and neither `: ` nor ` #` nor a space at its end is in it.
_PLAIN: Final = re.compile(
    r"[A-Za-z/](?:[\w./@+*?(){}$=<>,;'-]|:+(?=[\w./@+*?(){}$=<>,;'-])| (?=[\w./@+*?(){}$=<>,;'-]))*", re.ASCII
)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z][\w.-]*(?:[: ][\w./-]+)*", re.ASCII)
_DURATION: Final = re.compile(r"(?:[0-9]+[dhms])+", re.ASCII)
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def write_block(value: Mapping[str, Value], indent: int = 0) -> str:
    """Return `value` as YAML lines, indented by `indent` spaces, each ending in a line feed."""
    return "".join(line + "\n" for line in _mapping_lines(value, " " * indent))


def _mapping_lines(value: Mapping[str, Value], pad: str) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry_lines(f"{pad}{_write_key(key)}:", item, pad)


def _entry_lines(head: str, item: Value, pad: str) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        yield head
        yield from _mapping_lines(item, pad + "  ")
    elif isinstance(item, (list, tuple)) and item:
        yield head
        yield from _sequence_lines(item, pad + "  ")
    else:
        yield f"{head} {write_scalar(item)}"


def _sequence_lines(items: Sequence[Value], pad: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping) and item:
            first, *rest = _mapping_lines(item, pad + "  ")
            yield f"{pad}- {first[len(pad) + 2 :]}"
            yield from rest
        elif isinstance(item, (list, tuple)) and item:
            first, *rest = _sequence_lines(item, pad + "  ")
            yield f"{pad}- {first[len(pad) + 2 :]}"
            yield from rest
        else:
            yield f"{pad}- {write_scalar(item)}"


def write_scalar(item: Value) -> str:
    """Return one scalar, or an empty mapping or sequence, as it stands in YAML."""
    if isinstance(item, str):
        return item if _is_plain(item, _PLAIN) or _DURATION.fullmatch(item) else _quote(item)
    if item is None or isinstance(item, bool):
        return {None: "null", True: "true", False: "false"}[item]
    if isinstance(item, (int, float)):
        return repr(item)
    return "{}" if isinstance(item, Mapping) else "[]"


def _write_key(key: str) -> str:
    return key if _is_plain(key, _PLAIN_KEY) else _quote(key)


def _is_plain(text: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(text) is not None and text.lower() not in _WORDS


def _quote(text: str) -> str:
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character == " " or character.isprintable():
        return character
    code = ord(character)
    width, letter = (2, "x") if code <= 0xFF else (4, "u") if code <= 0xFFFF else (8, "U")  # noqa: PLR2004 YAML's widths
    return f"\\{letter}{code:0{width}x}"
