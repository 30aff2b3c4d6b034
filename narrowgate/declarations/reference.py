"""The reference page of declarations, made of the models: every key, its type, whether it must be there, what it means.

Generated and compared by a test, so that the page never says what the reader does not do.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.backends import BACKENDS
from narrowgate.compile.backends.postgres import PostgresBinding
from narrowgate.compile.durations import PATTERN
from narrowgate.declarations import models
from narrowgate.declarations.durations import format_duration
from narrowgate.declarations.environments import CONFIG_KEY
from narrowgate.declarations.exceptions import ExceptionDeclaration, ExceptionsDeclaration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

_HEAD: Final = """\
<!-- Made from the models by `pytest tests/golden/test_declarations_reference.py --update-golden`; do not edit. -->

# Reference: declarations

Three kinds of files say all that agents may do: `stacks/tools/<tool>.yaml`, `stacks/workflows/<workflow>.yaml`, and the
environment's bindings under `{key}` in `stacks/Pulumi.<stack>.yaml`. What need not keep a
[rule](../rules/README.md) stands in `stacks/exceptions.yaml`. `narrowgate check` judges them together;
JSON Schemas for editors are in `schemas/`.

- Names are lower-case letters, digits and single `-`. Durations are written `90s`, `15m`, `1h30m`, `2d`.
- YAML's aliases, anchors and tags are refused, as are duplicate and unknown keys.
- `${{env.x}}` (account, name, partition, region), `${{scope.x}}` and `${{binding.x}}` are typed references: each value
  is checked, and escaped, for the place where it stands. A list gives one grant for each item.
"""

_WORDS: Final = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping"}

_SECTIONS: Final[tuple[tuple[str, tuple[type[BaseModel], ...]], ...]] = (
    ("Workflow", (models.WorkflowDeclaration, models.Session, models.ToolUse)),
    ("Approvals of a workflow", (models.ApprovalDeclaration, models.FactorDeclaration)),
    ("Tool", (models.ToolDeclaration, models.ActionDeclaration)),
    (
        "Environment",
        (
            models.EnvironmentDeclaration,
            models.AwsDeclaration,
            models.VaultDeclaration,
            models.IdentityDeclaration,
            models.LimitsDeclaration,
            models.KubernetesDeclaration,
            models.WorkflowBindingDeclaration,
            models.DeployerDeclaration,
            models.TrailDeclaration,
        ),
    ),
    ("Exceptions from rules", (ExceptionsDeclaration, ExceptionDeclaration)),
    ("Bindings of the backend `postgres`", (PostgresBinding,)),
)


def render_reference() -> str:
    """Return the page as Markdown."""
    parts = [_HEAD.format(key=CONFIG_KEY)]
    for title, shapes in _SECTIONS:
        parts += _section(title, shapes)
    for backend, entry in sorted(BACKENDS.items()):
        parts += _section(f"Grants of the backend `{backend}`", entry.grant_models)
    return "\n".join(parts)


def _section(title: str, shapes: tuple[type[BaseModel], ...]) -> Iterator[str]:
    yield f"## {title}\n"
    for shape in shapes:
        yield f"{' '.join((inspect.getdoc(shape) or '').split())}\n"
        yield "| key | type | needed | meaning |\n| --- | --- | --- | --- |"
        properties = shape.model_json_schema()["properties"]
        for name, field in shape.model_fields.items():
            needed = "yes" if field.is_required() else _default(field.get_default(call_default_factory=True))
            kind = _type(properties[name]).replace("|", "\\|")
            yield f"| `{name}` | {kind} | {needed} | {' '.join((field.description or '').split())} |"
        yield ""


def _default(value: object) -> str:
    if value is None or value in ([], {}):
        return "no"
    if isinstance(value, models.LimitsDeclaration):
        return f"max_ttl: {format_duration(value.max_ttl)}, max_session: {format_duration(value.max_session)}"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(schema: dict[str, Any]) -> str:
    """Return a schema's type in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(option) for option in schema["anyOf"] if option.get("type") != "null"))
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{value}`" for value in choices)
    kind = "object" if "$ref" in schema else schema.get("type", "")
    if kind == "array":
        return f"list of {_type(schema['items'])}"
    return "duration" if schema.get("pattern") == PATTERN else _WORDS[kind]
