"""From a source to a model: pydantic's complaints become errors with a place, a code and a hint.

This module must not know what a declaration means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from narrowgate.declarations.errors import DeclarationError, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from narrowgate.compile.problems import Problem
    from narrowgate.declarations.source import KeyPath, Source

M = TypeVar("M", bound=BaseModel)

_CODES: Final[dict[str, str]] = {
    "extra_forbidden": "unknown-key",
    "missing": "missing-key",
    "literal_error": "unknown-value",
    "string_pattern_mismatch": "bad-format",
    "value_error": "bad-value",
}


def validate(
    model: type[M], value: object, source: Source, under: KeyPath = ()
) -> tuple[M | None, list[DeclarationError]]:
    """Return `value` as `model`, or None and every mistake in it; `under` is where the value stands in `source`."""
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        found = [
            _to_error(details, model, source, under) for details in sorted(error.errors(include_url=False), key=_rank)
        ]
        return None, _without_repeats(found)


def locate(problems: Iterable[Problem], source: Source, under: KeyPath = ()) -> Iterator[DeclarationError]:
    """Yield each problem as an error at its place in `source`."""
    for problem in problems:
        yield source.error(problem.message, (*under, *problem.path), problem.code, problem.hint, key=problem.key)


def _to_error(details: Mapping[str, Any], model: type[BaseModel], source: Source, under: KeyPath) -> DeclarationError:
    path = _existing_path(details, source, under)
    kind = details["type"]
    code = _CODES.get(kind, "wrong-type")
    if kind == "extra_forbidden":
        name = str(path[-1])
        return source.error(
            f"unknown key `{name}`", path, code, suggest(name, _fields_at(model, details["loc"][:-1])), key=True
        )
    if kind == "missing":
        return source.error(f"the key `{details['loc'][-1]}` is missing", path, code, "add it")
    if kind == "literal_error":
        expected = details.get("ctx", {}).get("expected", "")
        return source.error(f"{details['input']!r} is not known here", path, code, f"one of {expected}")
    message = details["msg"].removeprefix("Value error, ")
    return source.error(message[:1].lower() + message[1:], path, code)


def _existing_path(details: Mapping[str, Any], source: Source, under: KeyPath) -> KeyPath:
    """Return the part of pydantic's path that is in the file: it also names union members and `[key]`."""
    path: KeyPath = under
    for part in details["loc"]:
        candidate = (*path, part)
        if source.holds(candidate):
            path = candidate
    return path


def _fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> set[str]:
    """Return the keys that may stand at `path` of `model`; list indexes and mapping keys are passed over."""
    models = [model]
    for part in path:
        fields = [m.model_fields[part] for m in models if isinstance(part, str) and part in m.model_fields]
        if fields:
            models = [inner for field in fields for inner in _models_in(field.annotation)]
    return {name for m in models for name in m.model_fields}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - typing's own objects
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _rank(details: Mapping[str, Any]) -> int:
    """Return how little an error says: a union complains once for each member, mostly that the type is another."""
    return 2 if details["type"].endswith("_type") else 1 if details["type"] == "literal_error" else 0


def _without_repeats(errors: list[DeclarationError]) -> list[DeclarationError]:
    """Keep one error for each place, but each missing key."""
    first: dict[object, DeclarationError] = {}
    for error in errors:
        first.setdefault((error.location, error.message if error.code == "missing-key" else ""), error)
    return list(first.values())
