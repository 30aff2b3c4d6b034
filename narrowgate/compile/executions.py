"""How gated actions are carried out, as tools declare it: one model for each handler, and the schema of the inputs.

A value is literal JSON, or a text that is exactly one reference: `${scope.x}`, `${env.x}` and `${binding.x}` are filled
in when the plan is made, `${inputs.x}`, `${digest}`, `${request}`, `${requester}` and `${approvers}` when an executor
carries it out. Nothing is ever put into the middle of a text, so no value becomes syntax. This module must not carry
anything out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import Field

from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import KINDS, Reference, Value, lookup
from narrowgate.plan import Backend, Execution, FunctionGrant, Grant, RowPredicate, TableGrant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from narrowgate.plan import ActionAccess

Scalar = str | int | bool
Path = tuple[str | int, ...]

LATE: Final = frozenset({"digest", "request", "requester", "approvers"})
"""References without a kind: known when the action is carried out."""

_REFERENCE: Final = re.compile(r"\$\{(?:([a-z]+)\.)?([a-z][a-z0-9_]*)\}")
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_INPUT: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WRITE: Final = "write ${inputs.name}, ${scope.name}, ${env.name}, ${binding.name} or ${digest}, and nothing beside it"


class DeclaredExecution(Declared):
    """What stands under an action's `execute`."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with it whatever the values."""
        raise NotImplementedError

    def early(self) -> Mapping[str, Any]:
        """Return the parts whose values must be known when people decide."""
        raise NotImplementedError


class SqlTarget(Declared):
    """The one row that a function changes, as the executor reads it by a login of its own."""

    table: str
    """`table` (of `public`) or `schema.table`."""
    columns: list[str] = Field(min_length=1)
    """What of it is read and shown."""
    key: dict[str, Scalar] = Field(min_length=1)
    """Which row: a value for each of these columns. Values that the workflow's scope gives limit what can be read."""


class SqlFunctionExecution(DeclaredExecution):
    """One call of the one SQL function that the action grants; the function records the digest, once."""

    handler: Literal["sql-function"]
    """How it is carried out."""
    arguments: list[Scalar]
    """The function's arguments, in order; one of them is `${digest}`."""
    target: SqlTarget | None = None
    """The row that it changes; without it, approvers see only what will be called."""
    changes: dict[str, Scalar] = Field(default_factory=dict)
    """What the row's columns will be."""
    reversible: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
    """Whether and how it can be undone, in words, for approvers."""

    def check(self) -> Iterator[Problem]:
        """Yield names that are no identifiers, a missing digest, and changes of columns that are not read."""
        if self.arguments.count("${digest}") != 1:
            message = "exactly one argument must be `${digest}`"
            hint = "the function records it in a unique column, so that the database refuses a second run"
            yield Problem(("arguments",), "missing-digest", message, hint)
        if self.target is None:
            return
        named: list[tuple[Path, str]] = [(("target", "columns", n), name) for n, name in enumerate(self.target.columns)]
        named += [(("target", "key", name), name) for name in self.target.key]
        parts = self.target.table.split(".")
        if len(parts) > 2 or not all(_IDENTIFIER.fullmatch(part) for part in parts):  # noqa: PLR2004 - schema.table
            yield Problem(("target", "table"), "identifier", f"`{self.target.table}` is no SQL identifier")
        for path, name in named:
            if not _IDENTIFIER.fullmatch(name):
                yield Problem(path, "identifier", f"`{name}` is no SQL identifier", key="key" in path)
        for name in self.changes:
            if name not in self.target.columns:
                message = f"`{name}` is changed and not read: approvers would not see what it was"
                yield Problem(("changes", name), "unread-column", message, "add it to `target: columns`", key=True)

    def early(self) -> Mapping[str, Any]:
        """Return the row and what it will be."""
        return {"target": {"key": dict(self.target.key)} if self.target else {}, "changes": dict(self.changes)}


_SETS: Final = frozenset({"columns", "enum", "required"})

EXECUTIONS: Final[dict[str, tuple[Backend, type[DeclaredExecution]]]] = {
    "sql-function": (Backend.POSTGRES, SqlFunctionExecution),
}
"""Each handler with the backend that mints its credentials and the shape of its declaration."""


def find_execution(raw: Mapping[str, Any], backend: Backend) -> type[DeclaredExecution] | Problem:
    """Return the model of what stands under `execute`, or what is wrong with its `handler` for a tool of `backend`."""
    fitting = sorted(name for name, (of, _) in EXECUTIONS.items() if of is backend)
    hint = f"for {backend}: {', '.join(fitting)}" if fitting else f"no gated action of {backend} can be executed yet"
    if "handler" not in raw:
        return Problem((), "missing-key", "the key `handler` is missing", hint)
    if raw["handler"] not in fitting:
        return Problem(("handler",), "unknown-value", f"{raw['handler']!r} is no handler for {backend}", hint)
    return EXECUTIONS[str(raw["handler"])][1]


def check_inputs_schema(schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the schema of an action's inputs."""
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        message = "the inputs must be an object without other keys"
        yield Problem((), "inputs-schema", message, "say `type: object` and `additionalProperties: false`")
    for name in schema.get("properties") or {}:
        if not isinstance(name, str) or not _INPUT.fullmatch(name):
            yield Problem(
                ("properties", name), "inputs-schema", f"`{name}` is no name of an input", "as in `bank_account`"
            )
    for path in _find_links(schema):
        yield Problem(path, "inputs-schema", "a schema cannot point elsewhere", "write it out", key=True)
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        yield Problem(tuple(error.absolute_path), "inputs-schema", f"not a JSON Schema: {error.message[:200]}")


def _find_links(value: Any, path: Path = ()) -> Iterator[Path]:  # noqa: ANN401 - JSON
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        if key in ("$ref", "$dynamicRef", "$schema", "$id"):
            yield (*path, key)
        yield from _find_links(item, (*path, key))


def check_references(
    execution: DeclaredExecution, inputs: Mapping[str, Any], known: Callable[[Reference], Problem | None]
) -> Iterator[Problem]:
    """Yield each text that is no whole reference, and each reference that names nothing; `known` judges early kinds."""
    early = execution.early()
    for path, text in _texts(execution.model_dump()):
        if "${" not in text:
            continue
        match = _REFERENCE.fullmatch(text)
        if match is None:
            yield Problem(path, "bad-reference", f"`{text}` is no whole reference", _WRITE)
            continue
        kind, name = match.groups()
        problem: Problem | None
        if kind is None:
            problem = None if name in LATE else Problem((), "unknown-reference", f"{text} names nothing", _WRITE)
            if problem is None and _stands_in(early, path):
                problem = Problem((), "bad-reference", f"{text} is not known when people decide", _WRITE)
        elif kind == "inputs":
            listed = ", ".join(sorted(inputs.get("properties") or {}))
            missing = name not in (inputs.get("properties") or {})
            problem = Problem((), "unknown-reference", f"{text} is no input", f"inputs: {listed}") if missing else None
        elif kind in KINDS:
            problem = known(Reference(kind, name))
        else:
            problem = Problem((), "unknown-reference", f"{text} names nothing", _WRITE)
        if problem is not None:
            yield problem.under(*path)


def _stands_in(parts: Mapping[str, Any], path: Path) -> bool:
    value: Any = parts
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True


def _texts(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _texts(item, (*path, key))


def references_of(execution: DeclaredExecution) -> Iterator[Reference]:
    """Yield the references that are filled in when the plan is made."""
    for _, text in _texts(execution.model_dump()):
        match = _REFERENCE.fullmatch(text)
        if match is not None and match[1] in KINDS:
            yield Reference(match[1], match[2])


def resolve_execution(
    execution: DeclaredExecution, inputs: Mapping[str, Any], values: Mapping[Reference, Value], description: str
) -> Execution:
    """Return the plan's execution for `values`; raise `PlaceError` for a value that would become a reference itself."""
    call = _fill(execution.model_dump(exclude={"handler"}, exclude_none=True), values)
    handler = str(execution.model_dump()["handler"])
    return Execution(
        handler, write_canonical(_without_order(inputs)), write_canonical(_without_order(call)), description
    )


def _without_order(value: Any, key: str = "") -> Any:  # noqa: ANN401 - JSON
    """Return JSON in which lists that mean sets are sorted, so that a reviewer sees no change where there is none."""
    if isinstance(value, dict):
        return {name: _without_order(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        items = [_without_order(item) for item in value]
        return sorted(items, key=write_canonical) if key in _SETS else items
    return value


def _fill(value: Any, values: Mapping[Reference, Value]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] not in KINDS:
        return value
    reference = Reference(match[1], match[2])
    found = lookup(reference, values)
    if isinstance(found, tuple):
        raise PlaceError(f"{reference} is a list", reference=str(reference), hint="give a tool's scope one value")
    if isinstance(found, str) and "${" in found:
        raise PlaceError(f"{found!r} would be a reference itself", reference=str(reference))
    return found


def write_canonical(value: object) -> str:
    """Return JSON text, the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def function_of(action: ActionAccess) -> FunctionGrant:
    """Return the one function of an action that is carried out by `sql-function`."""
    functions = [grant for grant in action.grants if isinstance(grant, FunctionGrant)]
    if len(functions) != 1 or len(action.grants) != 1:
        raise PlaceError(f"{action.name} must grant one function, and nothing else")
    return functions[0]


def reads_of(execution: Execution) -> TableGrant | None:
    """Return what an executor reads before and after: the target's columns, in the rows that the scope fixes."""
    target = json.loads(execution.call).get("target")
    if not target:
        return None
    schema, _, table = target["table"].rpartition(".")
    columns = tuple(sorted({*target["columns"], *target["key"]}))
    fixed = {column: value for column, value in target["key"].items() if not _is_input(value)}
    rows = tuple(RowPredicate(column, (value,)) for column, value in sorted(fixed.items()))
    return TableGrant(schema or "public", table, ("SELECT",), columns, rows)


def _is_input(value: object) -> bool:
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def check_grants(execution: DeclaredExecution, grants: tuple[Grant, ...]) -> Iterator[Problem]:
    """Yield where an action's grants are not what its handler uses."""
    if not isinstance(execution, SqlFunctionExecution):
        return
    functions = [grant for grant in grants if isinstance(grant, FunctionGrant)]
    if len(functions) != 1 or len(grants) != 1:
        yield Problem((), "bad-value", "its action must grant one function, and nothing else")
    elif len(functions[0].arguments) != len(execution.arguments):
        message = (
            f"{functions[0].function} takes {len(functions[0].arguments)} arguments, not {len(execution.arguments)}"
        )
        yield Problem(("arguments",), "bad-value", message)
