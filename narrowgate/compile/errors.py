"""Errors of the compilers. They know no files: `narrowgate.declarations` adds the place where it knows one."""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class CompileError(NarrowgateError):
    """A plan that cannot become documents; `workflow` and `tool` say whose part of it."""

    code = "compile"

    def __init__(self, message: str, *, workflow: str = "", tool: str = "", hint: str | None = None) -> None:
        where = "/".join(part for part in (workflow, tool) if part)
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.workflow = workflow
        self.tool = tool


class ReferenceSyntaxError(NarrowgateError):
    """A `${…}` that is no reference, or one that cannot stand where it stands."""

    code = "reference"


class PlaceError(NarrowgateError):
    """A value that cannot stand where its reference stands, whatever the quoting; `reference` names it, if any."""

    code = "value-not-fit"

    def __init__(self, message: str, *, reference: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.reference = reference
