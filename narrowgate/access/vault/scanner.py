r"""Tokens of policy text: HCL version 1, and the JSON that the server reads in its place.

Written by hand because python-hcl2 reads HCL version 2, whose grammar differs where it matters: version 1 has no
expressions, allows commas between attributes, ends a heredoc otherwise, keeps repeated attributes and reads octal
and `\x` escapes. Must not know what a policy is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum

from narrowgate.access.vault.errors import VaultPolicySyntaxError


class Kind(Enum):
    """Kinds of tokens, by the names that the server uses in its own messages."""

    EOF = "EOF"
    IDENT = "IDENT"
    NUMBER = "NUMBER"
    FLOAT = "FLOAT"
    BOOL = "BOOL"
    STRING = "STRING"
    HEREDOC = "HEREDOC"
    NULL = "NULL"
    LBRACK = "LBRACK"
    RBRACK = "RBRACK"
    LBRACE = "LBRACE"
    RBRACE = "RBRACE"
    COMMA = "COMMA"
    ASSIGN = "ASSIGN"
    COLON = "COLON"
    OTHER = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its raw text, its value (a literal's Python value) and its place, counted from 1.

    `value` is None for a number that has no value, which is a fault only where a number is wanted.
    """

    kind: Kind
    text: str
    value: str | int | float | bool | None
    line: int
    column: int


_HCL_SIGNS = {
    "[": Kind.LBRACK,
    "]": Kind.RBRACK,
    "{": Kind.LBRACE,
    "}": Kind.RBRACE,
    ",": Kind.COMMA,
    "=": Kind.ASSIGN,
    ".": Kind.OTHER,
    "+": Kind.OTHER,
    "-": Kind.OTHER,
}
_JSON_SIGNS = {
    "[": Kind.LBRACK,
    "]": Kind.RBRACK,
    "{": Kind.LBRACE,
    "}": Kind.RBRACE,
    ",": Kind.COMMA,
    ":": Kind.COLON,
    ".": Kind.OTHER,
}
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]*|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?)|\.[0-9]+")
_JSON_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]*)?|\.[0-9]+")
_BLANK = re.compile(r"[ \t\n\r]*")
_PLAIN_STRING = re.compile(r'"([^"\\$\n]*)"')
_ESCAPE = re.compile(r"[abfnrtv\\\"]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}")
_HEREDOC_START = re.compile(r"<<(-?)([^\W]*)\r?\n", re.UNICODE)
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
}
_DIGITS = frozenset("0123456789")
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)
# The server's scanner overlooks an 8 or 9 in this one place; the number is then good only where text is wanted.
_LATE_OCTAL = re.compile(r"0[89][0-7]*")
_INT64 = range(-(2**63), 2**63)


def _is_letter(char: str) -> bool:
    return char == "_" or char.isalpha()


def _is_word(char: str) -> bool:
    return _is_letter(char) or char.isdecimal()


class Scanner:
    """Reads tokens from `text`, which is JSON when `json` is true. Raises VaultPolicySyntaxError at the bad place."""

    def __init__(self, text: str, *, json: bool, policy: str = "") -> None:
        self._text = text
        self._json = json
        self._policy = policy
        self._at = 0
        self._signs = _JSON_SIGNS if json else _HCL_SIGNS
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def fail(self, message: str, offset: int) -> VaultPolicySyntaxError:
        """Return (not raise) the error for a place in the text."""
        line, column = self._place(offset)
        return VaultPolicySyntaxError(message, line=line, column=column, policy=self._policy)

    def next(self) -> Token:
        """Return the next token that is neither white space nor a comment."""
        self._skip_blank()
        start = self._at
        if start >= len(self._text):
            return self._token(Kind.EOF, start, "")
        char = self._text[start]
        if _is_letter(char):
            return self._word(start)
        if char in _DIGITS or (char in "-." and self._text[start + 1 : start + 2] in _DIGITS):
            return self._number(start)
        if char == '"':
            return self._string(start)
        if char == "<" and not self._json:
            return self._heredoc(start)
        if char in self._signs:
            self._at = start + 1
            return self._token(self._signs[char], start, char)
        raise self.fail(f"illegal character {char!r}", start)

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def _token(self, kind: Kind, start: int, value: str | float | bool | None) -> Token:  # noqa: FBT001 - a literal's value
        line, column = self._place(start)
        return Token(kind, self._text[start : self._at], value, line, column)

    def _skip_blank(self) -> None:
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            char = self._text[self._at : self._at + 1]
            if self._json or char not in ("#", "/"):
                return
            self._skip_comment(char)

    def _skip_comment(self, char: str) -> None:
        start = self._at
        second = self._text[start + 1 : start + 2]
        if char == "#" or second == "/":
            end = self._text.find("\n", start)
            self._at = len(self._text) if end < 0 else end
        elif second == "*":
            end = self._text.find("*/", start + 2)
            if end < 0:
                raise self.fail("comment not terminated", start)
            self._at = end + 2
        else:
            raise self.fail("expected '/' or '*' for a comment", start)

    def _word(self, start: int) -> Token:
        end = start + 1
        extra = "-" if self._json else "-."
        while end < len(self._text) and (_is_word(self._text[end]) or self._text[end] in extra):
            end += 1
        self._at = end
        word = self._text[start:end]
        if word in ("true", "false"):
            return self._token(Kind.BOOL, start, word == "true")
        if not self._json:
            return self._token(Kind.IDENT, start, word)
        if word == "null":
            return self._token(Kind.NULL, start, "")
        raise self.fail(f"illegal word {word!r}", start)

    def _number(self, start: int) -> Token:
        match = (_JSON_NUMBER if self._json else _NUMBER).match(self._text, start)
        text = match.group() if match else ""
        self._at = start + len(text)
        digits = text.lstrip("-")
        try:
            if digits[:2].lower() == "0x":
                return self._integer(start, int(digits, 16), text)
            if not digits.isdigit():
                return self._token(Kind.FLOAT, start, float(text))
            if digits[0] == "0" and len(digits) > 1:
                if self._json:
                    raise self.fail("numbers cannot start with 0", start)
                if _LATE_OCTAL.fullmatch(digits):
                    return self._token(Kind.NUMBER, start, None)
                return self._integer(start, int(digits, 8), text)
            return self._integer(start, int(digits), text)
        except ValueError as error:
            raise self.fail(f"illegal number {text!r}", start) from error

    def _integer(self, start: int, magnitude: int, text: str) -> Token:
        value = -magnitude if text.startswith("-") else magnitude
        return self._token(Kind.NUMBER, start, value if value in _INT64 else None)

    def _string(self, start: int) -> Token:
        text = self._text
        plain = _PLAIN_STRING.match(text, start)
        if plain is not None:
            self._at = plain.end()
            return self._token(Kind.STRING, start, plain.group(1))
        at = start + 1
        braces = 0
        pieces = bytearray()
        while True:
            if at >= len(text):
                raise self.fail("string not terminated", start)
            char = text[at]
            at += 1
            raw = braces > 0 and not self._json
            if char == "\n" and not raw:
                raise self.fail("string not terminated", start)
            if char == '"' and not raw:
                break
            if char == "\\":
                match = _ESCAPE.match(text, at)
                if match is None:
                    raise self.fail("illegal escape in a string", at - 1)
                at = match.end()
                pieces += ("\\" + match.group()).encode() if raw else self._unescape(match.group(), start)
                continue
            if braces == 0 and char == "$" and text[at : at + 1] == "{":
                braces = 1
                at += 1
                pieces += b"${"
                continue
            braces += (braces > 0) * ((char == "{") - (char == "}"))
            pieces += char.encode("utf-8", "surrogateescape")
        self._at = at
        return self._token(Kind.STRING, start, pieces.decode("utf-8", "surrogateescape"))

    def _unescape(self, escape: str, start: int) -> bytes:
        if escape in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[escape].encode()
        if escape[0] not in "xuU":
            code = int(escape, 8)
            if code > 0xFF:  # noqa: PLR2004 - the largest byte
                raise self.fail(f"escape \\{escape} is no byte", start)
            return bytes([code])
        code = int(escape[1:], 16)
        if escape[0] == "x":
            return bytes([code])
        if code > _LAST_CODE_POINT or (self._json and code in _SURROGATES):
            raise self.fail(f"escape \\{escape} is no character", start)
        return (chr(code) if code not in _SURROGATES else "\ufffd").encode()

    def _heredoc(self, start: int) -> Token:
        match = _HEREDOC_START.match(self._text, start)
        if match is None or not match.group(2) or not all(_is_word(char) for char in match.group(2)):
            raise self.fail("a heredoc needs '<<', a word and a new line", start)
        dash, word = match.groups()
        # The server compares the line with the word *and* its dash, so `<<-EOF` needs an end line of four bytes.
        shortest = len((dash + word).encode())
        end_line = re.compile(rf"[ \t\n\v\f\r]*{word}\r*\Z")
        line_start = match.end()
        while True:
            line_end = self._text.find("\n", line_start)
            if line_end < 0:
                raise self.fail("heredoc not terminated", start)
            line = self._text[line_start:line_end]
            if len(line.encode()) >= shortest and end_line.match(line):
                break
            line_start = line_end + 1
        self._at = line_end + 1
        body = self._text[match.end() : self._at - len(word) - 1]
        return self._token(Kind.HEREDOC, start, _unindent(body) if dash else body)


def _unindent(body: str) -> str:
    """Take the end line's white space from every line, when every line has it."""
    lines = body.split("\n")
    indent = lines[-1]
    if not all(line.startswith(indent) for line in lines):
        return body[:-1].rstrip(" \t") if body else body
    return "\n".join([*(line.removeprefix(indent) for line in lines[:-1]), ""])
