"""A tool's data scope: what a workflow must give (JSON Schema of each value), and whether what it gave fits.

Only values that can stand in a name or a predicate are possible: text, whole numbers, booleans, and lists of those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError

from narrowgate.compile.problems import Problem
from narrowgate.declarations.errors import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SCALARS: Final = ("string", "integer", "boolean")
_KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "enum", "const"}),
    "integer": frozenset({"minimum", "maximum", "enum", "const"}),
    "boolean": frozenset({"const", "enum"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
}
_ALWAYS: Final = frozenset({"type", "description", "title", "default", "examples"})
MAX_TEXT: Final = 1024


def check_scope_schema(scope: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield what is wrong with a tool's scope."""
    for name, schema in scope.items():
        for problem in _check_property(schema):
            yield problem.under(name)


def _check_property(schema: Mapping[str, Any]) -> Iterator[Problem]:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        hint = f"one of {', '.join(_KEYWORDS)}"
        yield Problem(("type",), "scope-schema", f"a scope value cannot be of type {kind!r}", hint)
        return
    for keyword in schema:
        if keyword not in _KEYWORDS[kind] | _ALWAYS:
            hint = suggest(keyword, _KEYWORDS[kind] | _ALWAYS)
            yield Problem((keyword,), "unknown-key", f"`{keyword}` is not accepted for type {kind}", hint, key=True)
    if kind == "array":
        items = schema.get("items")
        if not isinstance(items, dict) or items.get("type") not in _SCALARS:
            yield Problem(
                ("items",), "scope-schema", "a list must say its items' type", f"one of {', '.join(_SCALARS)}"
            )
        else:
            for problem in _check_property(items):
                yield problem.under("items")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = tuple(error.absolute_path)
        yield Problem(path, "scope-schema", f"not a JSON Schema: {error.message}")
        return
    if "default" in schema:
        for fault in Draft202012Validator(schema).iter_errors(schema["default"]):
            yield Problem(("default",), "scope-schema", f"the default does not fit: {fault.message}")


class ScopeValidator:
    """Judges the scopes that workflows give to one tool; `scope` must have passed `check_scope_schema`."""

    def __init__(self, scope: Mapping[str, Mapping[str, Any]]) -> None:
        self.properties = scope
        self._validator = Draft202012Validator({"type": "object", "properties": {k: dict(v) for k, v in scope.items()}})

    def complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return `given` with defaults, sorted by name; lists are sets, so they are sorted too."""
        defaults = {name: schema["default"] for name, schema in self.properties.items() if "default" in schema}
        return {name: _sorted(value) for name, value in sorted({**defaults, **given}.items())}

    def check(self, given: Mapping[str, Any], tool: str) -> Iterator[Problem]:
        """Yield names that the tool does not define or that are missing, and values that do not fit."""
        for name in given:
            if name not in self.properties:
                message = f"the tool `{tool}` has no scope `{name}`"
                yield Problem((name,), "unknown-scope", message, suggest(name, self.properties), key=True)
        for name, schema in self.properties.items():
            if name not in given and "default" not in schema:
                hint = str(schema.get("description") or f"a value of type {schema['type']}")
                yield Problem((), "missing-scope", f"the tool `{tool}` needs the scope `{name}`", hint)
        for error in self._validator.iter_errors({k: v for k, v in given.items() if k in self.properties}):
            yield Problem(tuple(error.absolute_path), "scope-value", _words(error))
        for name, value in given.items():
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                path = (name, index) if isinstance(value, list) else (name,)
                if isinstance(item, str) and not 0 < len(item) <= MAX_TEXT:
                    yield Problem(path, "scope-value", f"text must have 1 to {MAX_TEXT} characters")
            if value == []:
                yield Problem((name,), "scope-value", "the list is empty", "name at least one item")


def _sorted(value: object) -> object:
    if not isinstance(value, list):
        return value
    return [
        item for _, item in sorted({(type(item).__name__, item) for item in value}, key=lambda p: (p[0], str(p[1])))
    ]


def _words(error: ValidationError) -> str:
    return error.message if len(error.message) <= 200 else f"{error.message[:200]}…"  # noqa: PLR2004 - a line or two
