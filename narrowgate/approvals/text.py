"""Makes text from agents safe to look at: what cannot be seen, or looks like something else, is written out.

The result holds printable characters only: no control, no direction override, no zero-width or unusual space, no line
break but where lines are kept. Nothing is shortened. It must not be used on what is executed, only on what is shown.
Source: Unicode TR 36 and TR 39 (mixed scripts), by the characters' own names.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from narrowgate.approvals.canonical import canonical_json

_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
# Letters that leave no ink, or a blank of letter's width, although Unicode calls them letters or marks.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0") | {chr(c) for c in range(0xFE00, 0xFE10)}
_MARKS: Final = 2
_WORD: Final = re.compile(r"\w+")
_SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "FULLWIDTH", "MATHEMATICAL")


def show(text: str, *, lines: bool = False) -> str:
    r"""Return `text` with hidden and look-alike characters as `\u{…}`; with `lines`, line feeds stay line feeds.

    In a word that mixes scripts every letter that is not ASCII is written out, so that a Cyrillic letter in a Latin
    word is seen. A backslash before `u{` is doubled, so that no text can pretend to be written out.
    """
    return "\n".join(_show_part(part) for part in (text.split("\n") if lines else [text]))


def find_oddities(text: str) -> tuple[str, ...]:
    """Return what a reader should know of `text`, in plain words: hidden characters, mixed or foreign scripts."""
    found: list[str] = []
    hidden = sum(_is_hidden(character) for character in text if character != "\n")
    if hidden:
        found.append(f"{hidden} hidden or control character{'s' if hidden > 1 else ''}, written out as \\u{{…}}")
    if any(_is_mixed(word) for word in _WORD.findall(text)):
        found.append("a word mixes letters of several scripts, which may look alike; written out as \\u{…}")
    scripts = sorted({script for character in text if (script := _script(character)) not in {"", "LATIN"}})
    if scripts:
        found.append(f"letters of {', '.join(script.capitalize() for script in scripts)}")
    if unicodedata.normalize("NFKC", text) != text:
        found.append("characters that are another form of plain ones")
    return tuple(found)


def show_value(value: Any) -> str:  # noqa: ANN401 - JSON of any shape
    """Return any JSON value on one line: text as it is, quoted where it is empty or has blanks at its ends."""
    if value is None:
        return "(nothing)"
    if isinstance(value, str):
        shown = show(value)
        return shown if shown and shown == shown.strip() else f'"{shown}"'
    return show(canonical_json(value))


def _show_part(part: str) -> str:
    part = part.replace("\\u{", "\\\\u{")
    shown: list[str] = []
    position = 0
    for match in _WORD.finditer(part):
        shown += [_show_character(c) for c in part[position : match.start()]]
        mixed = _is_mixed(match.group())
        shown += [_escape(c) if mixed and ord(c) > 0x7F else _show_character(c) for c in match.group()]  # noqa: PLR2004 - ASCII
        position = match.end()
    shown += [_show_character(c) for c in part[position:]]
    return _break_piles("".join(shown))


def _show_character(character: str) -> str:
    return _escape(character) if _is_hidden(character) else character


def _is_hidden(character: str) -> bool:
    category = unicodedata.category(character)
    return category in _HIDDEN_CATEGORIES or character in _BLANK or (category == "Zs" and character != " ")


def _escape(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def _break_piles(text: str) -> str:
    """Write out marks that pile up on one letter, which would cover the lines around it."""
    shown: list[str] = []
    pile = 0
    for character in text:
        pile = pile + 1 if unicodedata.category(character).startswith("M") else 0
        shown.append(_escape(character) if pile > _MARKS else character)
    return "".join(shown)


def _is_mixed(word: str) -> bool:
    return len({script for character in word if (script := _script(character))}) > 1


def _script(character: str) -> str:
    if not character.isalpha():
        return ""
    name = unicodedata.name(character, "")
    first = name.partition(" ")[0]
    return first if first in _SCRIPTS else ""
