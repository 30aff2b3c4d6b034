"""The generated files (JSON Schemas, the reference page) are those of the models, and agree with them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

from narrowgate.compile.backends import BACKENDS
from narrowgate.declarations.models import EnvironmentDeclaration, ToolDeclaration, WorkflowDeclaration
from narrowgate.declarations.reference import render_reference
from narrowgate.declarations.schemas import build_schemas, render_schema
from narrowgate.declarations.source import read_source
from narrowgate.plan import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "tests" / "golden" / "catalogue"
EXAMPLES = int(os.environ.get("NARROWGATE_EXAMPLES", "100"))
SCHEMAS = build_schemas()
TOOLS = [*sorted((ROOT / "stacks" / "tools").glob("*.yaml")), *sorted((CATALOGUE / "tools").glob("*.yaml"))]
WORKFLOWS = [*sorted((ROOT / "stacks" / "workflows").glob("*.yaml")), *sorted((CATALOGUE / "workflows").glob("*.yaml"))]
STACKS = [
    ROOT / "stacks" / "Pulumi.dev.yaml",
    ROOT / "stacks" / "Pulumi.dev-foundation.yaml",
    CATALOGUE / "Pulumi.test.yaml",
]
FILES = [
    *((path, "tool.schema.json") for path in TOOLS),
    *((path, "workflow.schema.json") for path in WORKFLOWS),
    *((path, "stack.schema.json") for path in STACKS),
]
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_the_schema_file_is_that_of_the_models(name: str, golden: Callable[[str, str], None]) -> None:
    golden(str(ROOT / "schemas" / name), render_schema(SCHEMAS[name]))


def test_the_reference_page_is_that_of_the_models(golden: Callable[[str, str], None]) -> None:
    golden(str(ROOT / "docs" / "reference" / "declarations.md"), render_reference())


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize(("path", "name"), FILES, ids=lambda value: value.stem if isinstance(value, Path) else "")
def test_a_right_declaration_fits_its_schema(path: Path, name: str) -> None:
    assert [error.message for error in VALIDATORS[name].iter_errors(read_source(path).value)] == []


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path]
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def put(value: object, path: tuple[str | int, ...], new: object, *, key: str | None) -> object:
    """Return `value` with `new` at `path`; with `key`, as a further key of the mapping there."""
    if not path:
        return {**value, key: new} if key is not None and isinstance(value, dict) else new
    head, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)  # type: ignore[call-overload]
    copy[head] = put(copy[head], tuple(rest), new, key=key)  # type: ignore[index]
    return copy


ODD = st.sampled_from(
    ["", "x", "X", "none", "15m", "0s", "1h30m", "m", "jwt", "read", "high", "a b", "a-b", "-", "*", "1"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 12) | ODD,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(ODD, inner, max_size=2),
    max_leaves=4,
)


def fits_model(value: object, name: str) -> bool:
    try:
        if name == "workflow.schema.json":
            WorkflowDeclaration.model_validate(value)
        elif name == "tool.schema.json":
            tool = ToolDeclaration.model_validate(value)
            backend = BACKENDS[Backend(tool.backend)]
            for action in tool.actions.values():
                for grant in action.grants:
                    backend.grant_model(grant).model_validate(grant)
        else:
            assert isinstance(value, dict)
            environment = value["config"]["narrowgate:environment"]
            if not isinstance(environment, str):
                EnvironmentDeclaration.model_validate(environment)
    except ValidationError:
        return False
    return True


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_schema_and_model_accept_and_refuse_the_same(data: st.DataObject) -> None:
    path, name = data.draw(st.sampled_from(FILES))
    value = read_source(path).value
    beneath = [p for p in places(value) if name != "stack.schema.json" or p[:2] == ("config", "narrowgate:environment")]
    place = data.draw(st.sampled_from(beneath))
    # A tool's scope is a JSON Schema, which the model takes as it is and `check_scope_schema` judges.
    changed = put(value, place, data.draw(VALUES), key=data.draw(st.none() | ODD | st.just("owner")))
    if name == "stack.schema.json":
        assume(isinstance(changed, dict) and isinstance(changed.get("config"), dict))
    fits_schema = VALIDATORS[name].is_valid(changed)
    assert fits_model(changed, name) == fits_schema, json.dumps(changed, indent=1)


@pytest.mark.parametrize("model", [WorkflowDeclaration, ToolDeclaration, EnvironmentDeclaration])
def test_every_key_is_explained(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    for shape in [schema, *schema["$defs"].values()]:
        for name, field in shape["properties"].items():
            assert field.get("description"), f"{shape['title']}.{name} has no description"
