"""Compiles the strings of a policy: wildcards, policy variables and the parts of an ARN."""

from __future__ import annotations

import re
from typing import Final

from narrowgate.access.iam.glob import ONE, ONE_IN_PART, RESERVED, STAR, STAR_IN_PART, VARIABLE, normalize
from narrowgate.access.iam.policy import Pattern, PolicyError, Variable

_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")
_WITH_DEFAULT: Final = re.compile(r"\s*([^,'\s]+)\s*(?:,\s*'([^']*)'\s*)?", re.DOTALL)
_ESCAPES: Final = frozenset("*?$")
_ARN_PARTS: Final = 6
_ESCAPED: Final = {"*": "\U0010ffe0", "?": "\U0010ffe1"}
_UNESCAPED: Final = {ord(mark): character for character, mark in _ESCAPED.items()}


def compile_action(text: str) -> Pattern:
    """Compile an action pattern: no case, no variables; `*` and `?` match any character."""
    return Pattern(text, _compile_plain(text.lower()))


def compile_resource(text: str, *, variables: bool, place: str) -> Pattern:
    """Compile a Resource value.

    A wildcard stays within its part of the ARN, but a `*` that ends a part may run on past the colon, and in the
    resource part (after the fifth colon) a colon is a character like any other: IAM User Guide, "IAM JSON policy
    elements: Resource".
    """
    body, found = _extract_variables(text, variables=variables, place=place)
    return Pattern(text, _compile_parts(body, runs_on=True), found)


def compile_arn(text: str, *, variables: bool, place: str) -> Pattern:
    """Compile a value of ArnLike or ArnEquals: the six parts are compared one by one."""
    body, found = _extract_variables(text, variables=variables, place=place)
    return Pattern(text, _compile_parts(body, runs_on=False), found)


def compile_like(text: str, *, variables: bool, place: str) -> Pattern:
    """Compile a value of StringLike, in which `*` and `?` match any character."""
    body, found = _extract_variables(text, variables=variables, place=place)
    return Pattern(text, _compile_plain(body), found)


def compile_literal(text: str, *, variables: bool, place: str) -> Pattern:
    """Compile a value of StringEquals, in which `*` and `?` are themselves."""
    body, found = _extract_variables(text, variables=variables, place=place)
    return Pattern(text, body.translate(_UNESCAPED), found)


def check_characters(text: str, place: str) -> None:
    """Refuse characters that AWS refuses too and that our patterns use for themselves.

    Raises PolicyError.
    """
    if text and max(text) >= RESERVED:
        raise PolicyError("a character of the last private-use plane is not allowed", place=place)


def _extract_variables(text: str, *, variables: bool, place: str) -> tuple[str, tuple[Variable, ...]]:
    """Replace each `${…}` by one character, so that a colon or a quote inside it can't mislead; undo the escapes."""
    check_characters(text, place)
    if not variables or "${" not in text:
        return text, ()
    found: list[Variable] = []

    def take(reference: re.Match[str]) -> str:
        inside = reference.group(1)
        if inside in _ESCAPES:
            return _ESCAPED.get(inside, inside)
        parts = _WITH_DEFAULT.fullmatch(inside)
        if parts is None:
            raise PolicyError(f"{reference.group(0)} is no policy variable", place=place)
        found.append(Variable(parts.group(1).lower(), parts.group(2)))
        return VARIABLE

    return _REFERENCE.sub(take, text), tuple(found)


def _compile_plain(body: str) -> str:
    return normalize(body.replace("*", STAR).replace("?", ONE)).translate(_UNESCAPED)


def _compile_parts(body: str, *, runs_on: bool) -> str:
    parts = body.split(":", _ARN_PARTS - 1)
    last = len(parts) - 1
    compiled = [
        _compile_part(part, runs_on=runs_on or number == last, any_character=number == _ARN_PARTS - 1)
        for number, part in enumerate(parts)
    ]
    return normalize(":".join(compiled)).translate(_UNESCAPED)


def _compile_part(part: str, *, runs_on: bool, any_character: bool) -> str:
    if any_character:
        return part.replace("*", STAR).replace("?", ONE)
    if runs_on and part.endswith("*"):
        return part[:-1].replace("*", STAR_IN_PART).replace("?", ONE_IN_PART) + STAR
    return part.replace("*", STAR_IN_PART).replace("?", ONE_IN_PART)
