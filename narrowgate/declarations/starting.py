"""Starting files: a private repository, one workflow, one tool. Commented, right as they are, and never over a file.

This module writes new files and nothing else; it must not change one that is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.names import MAX_NAME_LENGTH, NAME
from narrowgate.declarations.catalogue import read_tools
from narrowgate.declarations.environments import find_environments
from narrowgate.declarations.schemas import build_schemas, render_schema
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from narrowgate.declarations.catalogue import Tool
    from narrowgate.plan import Backend

# Templates whose own name would be read where they lie: as a program, a project or a list of files to leave out.
_RENAMED: Final = {
    "__main__.py.txt": "__main__.py",
    "gitignore.txt": ".gitignore",
    "pyproject.toml.txt": "pyproject.toml",
}
_SAMPLES: Final[dict[str, Any]] = {"string": "change-me", "integer": 1, "boolean": True}


class StartingFileError(NarrowgateError):
    """A starting file that cannot be written, or a name that cannot be one."""

    code = "init"


def start_project(folder: Path) -> list[Path]:
    """Write a private repository into `folder`, named like it; return the new files. Nothing is overwritten."""
    name = _checked(folder.resolve().name)
    root = files("narrowgate.declarations") / "templates" / "project"
    contents = {
        path: Template(text).substitute(name=name, version=version("narrowgate"))
        for path, text in _read_templates(root)
    }
    contents |= {("schemas", file): render_schema(schema) for file, schema in build_schemas().items()}
    return _write({folder.joinpath(*path): text for path, text in contents.items()})


def start_workflow(stacks_dir: Path, name: str) -> list[Path]:
    """Write `workflows/<name>.yaml`, which uses the first tool of the catalogue; return the new file."""
    tools, _ = read_tools(stacks_dir / "tools")
    tool = next((tool for tool in tools.values() if tool is not None and _first_action(tool)), None)
    if tool is None:
        raise StartingFileError(
            "no tool has an action that a workflow can start with", hint="narrowgate init tool NAME, then check it"
        )
    environments = find_environments(stacks_dir)
    text = _template("workflow.yaml").substitute(
        name=_checked(name),
        environment=environments[0] if environments else "dev",
        tool=tool.name,
        action=_first_action(tool),
        scope=json.dumps({key: _sample(schema) for key, schema in tool.scope.properties.items()}),
    )
    return _write({stacks_dir / "workflows" / f"{name}.yaml": text})


def start_tool(stacks_dir: Path, name: str, backend: Backend) -> list[Path]:
    """Write `tools/<name>.yaml` for `backend`; return the new file."""
    text = _template(f"tools/{backend.value}.yaml").substitute(name=_checked(name))
    return _write({stacks_dir / "tools" / f"{name}.yaml": text})


def _first_action(tool: Tool) -> str | None:
    return next((action.name for action in tool.actions.values() if not action.gated), None)


def _sample(schema: Mapping[str, Any]) -> object:
    if schema["type"] == "array":
        return [_sample(schema["items"])]
    return schema.get("default", schema.get("enum", [_SAMPLES[schema["type"]]])[0])


def _checked(name: str) -> str:
    if len(name) > MAX_NAME_LENGTH or not NAME.fullmatch(name):
        raise StartingFileError(f"{name!r} is no name", hint="lower-case letters, digits and single `-`")
    return name


def _template(path: str) -> Template:
    return Template((files("narrowgate.declarations") / "templates" / path).read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of templates and its path in the new repository."""

    root: Traversable
    path: tuple[str, ...]


def _read_templates(root: Traversable) -> list[tuple[tuple[str, ...], str]]:
    found: list[tuple[tuple[str, ...], str]] = []
    waiting = [_Folder(root, ())]
    while waiting:
        folder = waiting.pop()
        for entry in folder.root.iterdir():
            path = (*folder.path, _RENAMED.get(entry.name, entry.name))
            if entry.is_dir():
                waiting.append(_Folder(entry, path))
            else:
                found.append((path, entry.read_text(encoding="utf-8")))
    return sorted(found)


def _write(contents: Mapping[Path, str]) -> list[Path]:
    """Write all files or, where one of them is there already, none."""
    present = sorted(path for path in contents if path.exists() or path.is_symlink())
    if present:
        raise StartingFileError(f"{present[0]} is there already", hint="nothing was written; choose another name")
    try:
        for path, text in sorted(contents.items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise StartingFileError(f"{path} cannot be written: {error.strerror}") from error
    return sorted(contents)
