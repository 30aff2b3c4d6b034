"""How gated actions are carried out, as tools declare it: one model for each handler, and the schema of the inputs.

A value is literal JSON, or a text that is exactly one reference: `${scope.x}`, `${env.x}` and `${binding.x}` are filled
in when the plan is made, `${inputs.x}`, `${digest}`, `${request}`, `${requester}` and `${approvers}` when an executor
carries it out. Nothing is ever put into the middle of a text, so no value becomes syntax. This module must not carry
anything out.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from narrowgate.compile import execution_aws, execution_http, execution_sql
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.execution import REFERENCE, DeclaredExecution, Path
from narrowgate.compile.execution_aws import AwsCallExecution
from narrowgate.compile.execution_http import HttpExecution
from narrowgate.compile.execution_sql import SqlFunctionExecution
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import KINDS, Reference, Value, lookup
from narrowgate.plan import Backend, Execution, Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from narrowgate.plan import ActionAccess

LATE: Final = frozenset({"digest", "request", "requester", "approvers"})
"""References without a kind: known when the action is carried out."""

_INPUT: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WRITE: Final = "write ${inputs.name}, ${scope.name}, ${env.name}, ${binding.name} or ${digest}, and nothing beside it"
# Keys under which a list means a set: in a schema of inputs, and in the call of a handler.
_SCHEMA_SETS: Final = frozenset({"enum", "required"})
_CALL_SETS: Final = {"sql-function": frozenset({"columns"})}

EXECUTIONS: Final[dict[str, tuple[Backend, type[DeclaredExecution]]]] = {
    "aws-call": (Backend.AWS, AwsCallExecution),
    "http": (Backend.BEARER, HttpExecution),
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
        match = REFERENCE.fullmatch(text)
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
        held = range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
        if key not in held:
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
        match = REFERENCE.fullmatch(text)
        if match is not None and match[1] in KINDS:
            yield Reference(match[1], match[2])


def resolve_execution(
    execution: DeclaredExecution, inputs: Mapping[str, Any], values: Mapping[Reference, Value], description: str
) -> Execution:
    """Return the plan's execution for `values`; raise `PlaceError` for a value that does not fit its place."""
    call = _fill(execution.model_dump(exclude={"handler"}, exclude_none=True), values)
    execution.check_call(call)
    handler = str(execution.model_dump()["handler"])
    ordered = _without_order(call, _CALL_SETS.get(handler, frozenset()))
    return Execution(
        handler, write_canonical(_without_order(inputs, _SCHEMA_SETS)), write_canonical(ordered), description
    )


def _without_order(value: Any, sets: frozenset[str], key: str = "") -> Any:  # noqa: ANN401 - JSON
    """Return JSON in which lists that mean sets are sorted, so that a reviewer sees no change where there is none."""
    if isinstance(value, dict):
        return {name: _without_order(item, sets, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        items = [_without_order(item, sets) for item in value]
        return sorted(items, key=write_canonical) if key in sets else items
    return value


def _fill(value: Any, values: Mapping[Reference, Value]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    match = REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[1] not in KINDS:
        return value
    reference = Reference(match[1], match[2])
    found = lookup(reference, values)
    if isinstance(found, tuple):
        raise PlaceError(f"{reference} is a list", reference=str(reference), hint="give a tool's scope one value")
    if isinstance(found, str) and "${" in found:
        raise PlaceError(f"{found!r} would be a reference itself", reference=str(reference))
    return found


def find_reads(action: ActionAccess) -> tuple[Grant, ...]:
    """Return what the executor of a gated action reads of its target, before and after, by a session of its own."""
    if action.execution is None:
        return ()
    if action.execution.handler == "sql-function":
        table = execution_sql.reads_of(action.execution)
        return () if table is None else (table,)
    if action.execution.handler == "http":
        return execution_http.reads_of(action)
    return execution_aws.reads_of(action)


def write_canonical(value: object) -> str:
    """Return JSON text, the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
