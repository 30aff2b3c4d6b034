"""JSON Schemas of the kinds of declarations, made of the models, so that an editor knows what the reader knows.

They say what one file can say of itself; what needs other files (does the tool exist?) only `narrowgate check` can say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from narrowgate.compile.backends import BACKENDS
from narrowgate.declarations.environments import CONFIG_KEY
from narrowgate.declarations.exceptions import ExceptionsDeclaration
from narrowgate.declarations.models import EnvironmentDeclaration, ToolDeclaration, WorkflowDeclaration
from narrowgate.declarations.shards import FOUNDATION, SHARD_KEY, STACK_KEY

if TYPE_CHECKING:
    from pydantic import BaseModel

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS: Final = "#/$defs/{model}"


def build_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas by file name: `exceptions.schema.json`, `stack.schema.json`, …."""
    return {
        "exceptions.schema.json": {"$schema": DIALECT, **_model_schema(ExceptionsDeclaration)},
        "stack.schema.json": _stack_schema(),
        "tool.schema.json": _tool_schema(),
        "workflow.schema.json": {"$schema": DIALECT, **_model_schema(WorkflowDeclaration)},
    }


def render_schema(schema: dict[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _model_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation", ref_template=_DEFINITIONS)
    _close(schema)
    return schema


def _close(schema: object) -> None:
    """Refuse keys that match no pattern of a mapping: pydantic says only which keys are right."""
    if isinstance(schema, list):
        for item in schema:
            _close(item)
    elif isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for item in schema.values():
            _close(item)


def _stack_schema() -> dict[str, Any]:
    """Return the schema of a Pulumi stack's config: other keys in it are Pulumi's and other programs'."""
    schema = _model_schema(EnvironmentDeclaration)
    definitions = {**schema.pop("$defs"), "EnvironmentDeclaration": schema}
    environment = {"anyOf": [{"$ref": _DEFINITIONS.format(model="EnvironmentDeclaration")}, {"type": "string"}]}
    shard = {
        "description": "Which part of the environment's workflows the stack deploys.",
        "pattern": "^[1-9][0-9]{0,2}/[1-9][0-9]{0,2}$",
        "type": "string",
    }
    kind = {"const": FOUNDATION, "description": "Whether the stack is the environment's foundation."}
    properties = {CONFIG_KEY: environment, SHARD_KEY: shard, STACK_KEY: kind}
    config = {"properties": properties, "required": [CONFIG_KEY], "type": "object"}
    return {
        "$defs": definitions,
        "$schema": DIALECT,
        "properties": {"config": config},
        "required": ["config"],
        "title": "Pulumi stack with an environment of Narrowgate",
        "type": "object",
    }


def _tool_schema() -> dict[str, Any]:
    """Return the schema of a tool: what stands under `grants` depends on its backend."""
    schema = _model_schema(ToolDeclaration)
    models = {backend: entry.grant_models for backend, entry in sorted(BACKENDS.items())}
    _, grants = models_json_schema(
        [(model, "validation") for group in models.values() for model in group], ref_template=_DEFINITIONS
    )
    schema["$defs"].update(grants["$defs"])
    schema["allOf"] = [
        {"if": {"properties": {"backend": {"const": backend.value}}}, "then": _with_grants(group)}
        for backend, group in models.items()
    ]
    return {"$schema": DIALECT, **schema}


def _with_grants(models: tuple[type[BaseModel], ...]) -> dict[str, Any]:
    grant = {"anyOf": [{"$ref": _DEFINITIONS.format(model=model.__name__)} for model in models]}
    action = {"properties": {"grants": {"items": grant}}}
    return {"properties": {"actions": {"patternProperties": {"": action}}}}
