"""ARNs with references: which value may stand in which place, and how it is escaped there.

A value never becomes ARN syntax: a wildcard, a variable or a separator in it is refused, or escaped as IAM escapes
literals (`${*}`, `${?}`, `${$}`) where the service's own names may hold such characters. This module must not know
which actions exist; see `iam_catalogue`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.compile.errors import PlaceError, ReferenceSyntaxError
from narrowgate.compile.references import Piece, Place, Reference, Scalar, Template, Value, expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SEGMENTS: Final = ("arn", "partition", "service", "region", "account", "resource")
_ENV_SEGMENTS: Final = {"partition": "partition", "region": "region", "account": "account"}
_LITERAL: Final = re.compile(r"[A-Za-z0-9_./:=+,@#*?-]*")
_MAX_KEY_BYTES: Final = 1024

# What a name may hold in each service's ARNs, from the services' own naming rules; other services get the default.
_NAMES: Final[dict[str, re.Pattern[str]]] = {
    "bedrock": re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]{0,255}"),
    "dynamodb": re.compile(r"[A-Za-z0-9_.-]{1,255}"),
    "events": re.compile(r"[A-Za-z0-9_.-]{1,256}(/[A-Za-z0-9_.-]{1,256})*"),
    "lambda": re.compile(r"[A-Za-z0-9_-]{1,140}"),
    "logs": re.compile(r"[A-Za-z0-9_/.#-]{1,512}"),
    "secretsmanager": re.compile(r"[A-Za-z0-9_/+=.@-]{1,512}"),
    "ses": re.compile(r"[A-Za-z0-9@._+-]{1,320}"),
    "sqs": re.compile(r"[A-Za-z0-9_-]{1,80}(\.fifo)?"),
}
_DEFAULT_NAME: Final = re.compile(r"[A-Za-z0-9_.+=,@-]{1,256}")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ESCAPES: Final = {"*": "${*}", "?": "${?}", "$": "${$}"}


@dataclass(frozen=True, slots=True)
class ArnTemplate:
    """An ARN whose references have places; `service` is literal."""

    template: Template
    service: str
    pieces: tuple[Piece, ...]

    def expand(self, values: Mapping[Reference, Value]) -> Iterator[str]:
        """Yield one ARN for each combination of list items; raise `PlaceError` for a value that does not fit."""
        return expand(self.pieces, values)

    def sample(self) -> str:
        """Return the ARN with `x` for each reference: its shape, for checks before any value is known."""
        return "".join(part if isinstance(part, str) else "x" for part in self.template.parts)


def place_arn(template: Template) -> ArnTemplate:
    """Give each reference of an ARN its place; raise `ReferenceSyntaxError` for what is no ARN of ours.

    Account and bucket are bound by the environment, so that no declaration can reach another environment's.
    """
    segments = _split(template)
    service = "".join(str(part) for part in segments["service"])
    if segments["arn"] != ["arn"] or not re.fullmatch(r"[a-z0-9-]+", service):
        raise ReferenceSyntaxError(
            f"`{template.text}` is no ARN",
            hint="arn:${env.partition}:<service>:${env.region}:${env.account}:<resource>",
        )
    for name in ("partition", "region", "account"):
        _check_environment_segment(template, name, segments[name])
    pieces: list[Piece] = []
    for name in _SEGMENTS[:-1]:
        pieces += [part if isinstance(part, str) else (part, _text) for part in segments[name]]
        pieces.append(":")
    pieces += _resource_pieces(service, segments["resource"])
    if any(isinstance(piece, str) and not _LITERAL.fullmatch(piece) for piece in pieces):
        raise ReferenceSyntaxError(f"`{template.text}` holds a character that stands in no ARN")
    return ArnTemplate(template, service, tuple(pieces))


def _split(template: Template) -> dict[str, list[str | Reference]]:
    segments: list[list[str | Reference]] = [[]]
    for part in template.parts:
        if isinstance(part, Reference):
            segments[-1].append(part)
            continue
        head, *rest = part.split(":", len(_SEGMENTS) - len(segments))
        if head:
            segments[-1].append(head)
        segments += [[text] if text else [] for text in rest]
    if len(segments) != len(_SEGMENTS) or not segments[-1]:
        raise ReferenceSyntaxError(
            f"`{template.text}` is no ARN",
            hint="arn:${env.partition}:<service>:${env.region}:${env.account}:<resource>",
        )
    return dict(zip(_SEGMENTS, segments, strict=True))


def _check_environment_segment(template: Template, name: str, parts: list[str | Reference]) -> None:
    expected = Reference("env", _ENV_SEGMENTS[name])
    literal = not parts or (name == "partition" and parts == ["aws"]) or (name == "account" and parts == ["aws"])
    if parts != [expected] and not literal:
        raise ReferenceSyntaxError(
            f"the {name} of `{template.text}` must be {expected}", hint="names of real things come from the environment"
        )


def _resource_pieces(service: str, parts: list[str | Reference]) -> list[Piece]:
    if service != "s3":
        name = _NAMES.get(service, _DEFAULT_NAME)
        return [part if isinstance(part, str) else (part, _named(name, service)) for part in parts]
    placed: list[Piece] = []
    in_key = False
    for part in parts:
        if isinstance(part, str):
            placed.append(part)
            in_key = in_key or "/" in part
        else:
            placed.append((part, escape_key if in_key else _named(_BUCKET, "s3 bucket")))
    if not isinstance(parts[0], Reference) or parts[0].kind == "scope":
        raise ReferenceSyntaxError(
            "an S3 bucket is bound by the environment", hint="begin the resource with ${binding.bucket}"
        )
    return placed


def _named(pattern: re.Pattern[str], what: str) -> Place:
    def place(value: Scalar) -> str:
        text = _text(value)
        if not pattern.fullmatch(text):
            raise PlaceError(f"{text!r} is no {what} name", hint=f"names match {pattern.pattern}")
        return text

    return place


def _text(value: Scalar) -> str:
    if not isinstance(value, str):
        raise PlaceError(f"{value!r} must be text here")
    return value


def escape_key(value: Scalar) -> str:
    """Return an S3 key or its beginning with `*`, `?` and `$` escaped, so that IAM takes each as itself."""
    text = _text(value)
    if not text or not text.isprintable() or len(text.encode()) > _MAX_KEY_BYTES:
        raise PlaceError(f"{text!r} is no S3 key", hint="1 to 1024 bytes, no control characters")
    return "".join(_ESCAPES.get(character, character) for character in text)
