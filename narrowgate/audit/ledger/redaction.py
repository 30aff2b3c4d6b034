"""What of a call's inputs and outputs a record keeps: no secret, no content, nothing without a bound.

Rules go by the name of a field; what looks like a credential is hidden wherever it stands. Digests tell equal content
apart from other content; of a value with few possible texts they tell the value, so such fields are to be hidden.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

HIDDEN: Final = "[hidden]"
TEXT_LIMIT: Final = 512
ITEM_LIMIT: Final = 20
DEPTH_LIMIT: Final = 6
SHORTEST_SECRET: Final = 6

# Texts that are credentials by their form: Vault tokens, access keys, JWTs, private keys, passwords inside a URL.
_CREDENTIALS: Final = re.compile(
    r"\b(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}"
    r"|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Where an SQL statement may begin to hold a value: a literal, or what would need a parser to tell from one.
_VALUE: Final = re.compile(r"'|\$[A-Za-z_]*\$|\\|--|/\*|(?<![\w$])[0-9]")


class Treatment(StrEnum):
    """What becomes of a field's value."""

    KEEP = "keep"
    HIDE = "hide"
    DIGEST = "digest"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Fields whose name fits `pattern` (a glob, lower case, `*` for any text) are treated so. The first rule wins."""

    pattern: str
    treatment: Treatment


DEFAULT_RULES: Final = (
    *(
        FieldRule(pattern, Treatment.KEEP)
        for pattern in ("nexttoken", "continuationtoken", "nextcontinuationtoken", "accesskeyid", "keycount", "key")
    ),
    *(
        FieldRule(f"*{word}*", Treatment.HIDE)
        for word in ("password", "passwd", "secret", "token", "credential", "authorization", "signature", "apikey")
    ),
    FieldRule("*privatekey*", Treatment.HIDE),
    FieldRule("*accesskey", Treatment.HIDE),
    FieldRule("ssecustomerkey", Treatment.HIDE),
    FieldRule("plaintext", Treatment.HIDE),
    FieldRule("body", Treatment.DIGEST),
    FieldRule("logevents", Treatment.COUNT),
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """The rules of one ledger: `rules` come before the defaults, which always hold for what `rules` do not name."""

    rules: tuple[FieldRule, ...] = ()
    text_limit: int = TEXT_LIMIT
    item_limit: int = ITEM_LIMIT
    _known: dict[str, Treatment] = field(default_factory=dict, compare=False, repr=False)

    def apply(self, value: object, secrets: AbstractSet[str] = frozenset()) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return `value` as JSON-ready data without credentials, bounded in depth, items and length of texts.

        `secrets` are texts that must not appear, wherever they stand. What is no JSON is told by its type only.
        """
        return self._shape(value, frozenset(s for s in secrets if len(s) >= SHORTEST_SECRET), 0)

    def hides(self, name: str) -> bool:
        """Return whether the value of a field called `name` stands in no record as it is."""
        return self._treatment(name) is not Treatment.KEEP

    def hide_statement(self, statement: str, parameters: object) -> tuple[str, object]:
        """Return an SQL statement and its parameters as a record may hold them.

        Where the statement names a field that is hidden, nothing tells which value is that field's: then it ends before
        its first literal, and its parameters are hidden.
        """
        if not any(self.hides(word) for word in _WORD.findall(statement)):
            return statement, parameters
        value = _VALUE.search(statement)
        shown = statement if value is None else f"{statement[: value.start()]}{HIDDEN}"
        return shown, HIDDEN if parameters else parameters

    def apply_inputs(self, inputs: object) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return a call's inputs as `apply` does; an SQL `statement` among them hides its `parameters`, too."""
        if isinstance(inputs, Mapping) and isinstance(inputs.get("statement"), str):
            statement, parameters = self.hide_statement(inputs["statement"], inputs.get("parameters"))
            inputs = {**inputs, "statement": statement, "parameters": parameters}
        return self.apply(inputs)

    def _treatment(self, name: str) -> Treatment:
        found = self._known.get(name)
        if found is None:
            plain = re.sub(r"[^a-z0-9]", "", name.lower())
            rules = (*self.rules, *DEFAULT_RULES)
            found = next(
                (r.treatment for r in rules if fnmatchcase(plain, re.sub(r"[^a-z0-9*?]", "", r.pattern.lower()))),
                Treatment.KEEP,
            )
            if len(self._known) < 10_000:  # noqa: PLR2004 - names come from calls: the memory has a bound too
                self._known[name] = found
        return found

    def _shape(  # noqa: PLR0911 - one return for each kind of JSON
        self, value: object, secrets: frozenset[str], depth: int
    ) -> Any:  # noqa: ANN401 - as above
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value, secrets)
        if isinstance(value, bytes | bytearray | memoryview):
            return digest_of(bytes(value))
        if depth >= DEPTH_LIMIT:
            return {"omitted": type(value).__name__}
        if isinstance(value, Mapping):
            return self._mapping(value, secrets, depth)
        if isinstance(value, Sequence | AbstractSet):
            return self._items(list(value), secrets, depth)
        if type(value).__module__ in {"datetime", "decimal", "uuid", "ipaddress"}:
            return str(value)
        return {"omitted": type(value).__name__}

    def _mapping(self, value: Mapping[Any, Any], secrets: frozenset[str], depth: int) -> dict[str, Any]:
        shaped: dict[str, Any] = {}
        for number, (key, inner) in enumerate(value.items()):
            if number >= self.item_limit:
                shaped["…"] = f"{len(value) - number} more fields"
                break
            name = self._text(str(key), secrets)
            match self._treatment(str(key)):
                case Treatment.HIDE:
                    shaped[name] = HIDDEN
                case Treatment.DIGEST:
                    shaped[name] = digest_of(inner)
                case Treatment.COUNT:
                    shaped[name] = (
                        {"items": len(inner)} if isinstance(inner, Sequence | AbstractSet | Mapping) else HIDDEN
                    )
                case _:
                    shaped[name] = self._shape(inner, secrets, depth + 1)
        return shaped

    def _items(self, values: list[object], secrets: frozenset[str], depth: int) -> list[Any]:
        shaped = [self._shape(value, secrets, depth + 1) for value in values[: self.item_limit]]
        return shaped if len(values) <= self.item_limit else [*shaped, f"… {len(values) - self.item_limit} more"]

    def _text(self, text: str, secrets: frozenset[str]) -> str:
        for secret in secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        if len(text) > 8:  # noqa: PLR2004 - no credential is shorter
            text = _CREDENTIALS.sub(HIDDEN, text)
        # a lone surrogate is no UTF-8
        text = text.encode("utf-8", "backslashreplace").decode()
        return text if len(text) <= self.text_limit else f"{text[: self.text_limit]}… {len(text)} characters"


def digest_of(value: object) -> dict[str, Any]:
    """Return the length in bytes and the SHA-256 (first 16 bytes, base64) of content that a record does not keep."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    if not isinstance(value, bytes | bytearray):
        return {"omitted": type(value).__name__}
    digest = base64.b64encode(hashlib.sha256(value).digest()[:16]).decode()
    return {"bytes": len(value), "sha256": digest}


def hide_fields(names: Iterable[str]) -> Redaction:
    """Return the redaction that hides fields of these names, as a tool's declaration gives them, and the defaults."""
    return Redaction(tuple(FieldRule(name, Treatment.HIDE) for name in names))
