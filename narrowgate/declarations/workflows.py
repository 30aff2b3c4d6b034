"""Workflows as they stand in their files, before any tool or environment is known.

This module must not look at tools or environments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.compile.collector import collect_young, collector_paused
from narrowgate.compile.identity import CARRIES_USER
from narrowgate.compile.problems import Problem
from narrowgate.declarations.errors import DeclarationError
from narrowgate.declarations.models import WorkflowDeclaration
from narrowgate.declarations.source import Source, read_source
from narrowgate.declarations.validation import locate, validate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow's declaration and its file."""

    declaration: WorkflowDeclaration
    source: Source

    @property
    def name(self) -> str:
        """Return the workflow's name."""
        return self.declaration.workflow


def read_workflows(folder: Path) -> tuple[list[Workflow], list[DeclarationError]]:
    """Read every workflow in `folder`, sorted by name; return those without mistakes of shape, and all mistakes."""
    workflows: list[Workflow] = []
    errors: list[DeclarationError] = []
    with collector_paused():
        for path in sorted(folder.glob("*.yaml")):
            workflow, found = read_workflow(path)
            errors += found
            if workflow is not None:
                workflows.append(workflow)
            collect_young()
    return workflows, errors


def read_workflow(path: Path) -> tuple[Workflow | None, list[DeclarationError]]:
    """Read and check one workflow's file."""
    try:
        source = read_source(path, inside=path.parent)
    except DeclarationError as error:
        return None, [error]
    declaration, errors = validate(WorkflowDeclaration, source.value, source)
    if declaration is None:
        return None, errors
    errors += locate(_check(declaration, path), source)
    return Workflow(declaration, source), errors


def _check(declaration: WorkflowDeclaration, path: Path) -> Iterator[Problem]:
    if declaration.workflow != path.stem:
        hint = f"rename the file to {declaration.workflow}.yaml, or the workflow to {path.stem}"
        message = f"the file {path.name} declares the workflow `{declaration.workflow}`"
        yield Problem(("workflow",), "file-name", message, hint)
    if declaration.requesters != "none" and declaration.identity not in CARRIES_USER:
        message = f"a login by `{declaration.identity}` carries no user, so it cannot act for requesters"
        yield Problem(("requesters",), "requester-unknown", message, "say `requesters: none`, or use `identity: jwt`")
    yield from _check_repeats("environments", declaration.environments)
    if declaration.requesters != "none":
        yield from _check_repeats("requesters", declaration.requesters)
    if declaration.session.ttl > declaration.session.max_ttl:
        yield Problem(("session", "ttl"), "time", "`ttl` is longer than `max_ttl`", "shorten it")
    for name, use in declaration.tools.items():
        for problem in _check_repeats("actions", use.actions):
            yield problem.under("tools", name)
        if use.ttl is not None and use.max_ttl is not None and use.ttl > use.max_ttl:
            yield Problem(("tools", name, "ttl"), "time", "`ttl` is longer than `max_ttl`", "shorten it")
    for name, approval in declaration.approvals.items():
        if approval.approvers is None and not approval.all_of:
            yield Problem(("approvals", name), "missing-key", "an approval must name its `approvers`", "add them")


def _check_repeats(key: str, values: list[str]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield Problem((key, index), "duplicate-name", f"`{value}` stands here twice", "remove one of the two")
        seen.add(value)
