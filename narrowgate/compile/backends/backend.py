"""What every backend brings: the shape of its declared grants, the bindings it needs, and its documents.

A backend is one module beside this one and one entry in the table of `narrowgate.compile.backends`. This module
must not know any of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict

from narrowgate.compile.references import Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from narrowgate.compile.documents import Json, ToolDocuments
    from narrowgate.compile.problems import Problem
    from narrowgate.compile.references import Value
    from narrowgate.plan import Access, Backend, Environment, Grant, ToolAccess, WorkflowAccess


WORKFLOW: Final = Reference("workflow", "name")
TOOL: Final = Reference("workflow", "tool")
SCOPE: Final = Reference("workflow", "scope")


class Declared(BaseModel):
    """A declared value: strict types, no unknown keys, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, use_attribute_docstrings=True)


class DeclaredGrant(Declared):
    """One entry under an action's `grants`."""

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield what is wrong with the grant whatever the values, for an action that says it is `access`."""
        raise NotImplementedError

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield each reference with the key path where it stands."""
        raise NotImplementedError

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield the plan's grants for `values`; raise `PlaceError` for a value that does not fit its place.

        Beside what a declaration may write, `values` holds `WORKFLOW` and `TOOL` (names) and `SCOPE` (canonical JSON).
        """
        raise NotImplementedError


def _no_cap(environment: Environment) -> None:
    """Say that a backend has no longest life of its own."""


@dataclass(frozen=True, slots=True)
class BackendCompiler:
    """One entry of the table.

    `grant_models` are the shapes of a grant, and the first whose own key (its first field) stands in a raw grant is
    its shape, else the first of all; `binding_model` says which names an environment must bind for a tool
    of this backend (a tool's own references add to them); `check_tool` judges a tool's resolved grants together;
    `compile_tool` makes the documents; `ttl_floor_seconds` is the shortest life that the
    backend can give, and `ttl_cap` the longest in an environment (with the reason), if it has one of its own.
    """

    backend: Backend
    grant_models: tuple[type[DeclaredGrant], ...]
    binding_model: type[Declared]
    check_tool: Callable[[ToolAccess], None]
    compile_tool: Callable[[WorkflowAccess, ToolAccess, Environment], ToolDocuments]
    describe_connection: Callable[[ToolDocuments, Environment], Json]
    ttl_floor_seconds: int = 60
    ttl_floor_reason: str = ""
    ttl_cap: Callable[[Environment], tuple[int, str] | None] = _no_cap

    def grant_model(self, raw: Mapping[str, Any]) -> type[DeclaredGrant]:
        """Return the model of a raw grant."""
        fitting = (model for model in self.grant_models if next(iter(model.model_fields)) in raw)
        return next(fitting, self.grant_models[0])
