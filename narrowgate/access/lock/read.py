"""Reads an access lock: strictly, since a deploy is measured by it; every mistake has file, line and column.

A lock is read workflow by workflow: each block of lines under `workflows:` is a document of its own, so that a
thousand workflows of which one has changed cost the reading of one (see `known`), and no block can reach into
another. This module must not judge what the lock says.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from narrowgate.access.lock.facts import FACTS
from narrowgate.access.lock.grants import read_grant
from narrowgate.access.lock.node import Node
from narrowgate.access.lock.values import VERSION, AccessLock, LockError, another_environment
from narrowgate.access.lock.write import write_json
from narrowgate.declarations.errors import DeclarationError
from narrowgate.declarations.source import parse_source
from narrowgate.errors import Location
from narrowgate.plan import (
    Access,
    ActionAccess,
    Approval,
    Backend,
    Execution,
    Factor,
    Impact,
    RuleException,
    ToolAccess,
    WorkflowAccess,
    WorkflowBinding,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNNAMED: Final = Path("lock.yaml")
_SECTIONS: Final = tuple(dict.fromkeys(fact.section for fact in FACTS if fact.section))
_HEADER: Final = " ".join(
    ("version environment", *(fact.key for fact in FACTS if not fact.section), *_SECTIONS, "agents databases workflows")
)
_WORKFLOW: Final = "owner purpose identity requesters ttl max_ttl tools"
_WORKFLOWS_LINE: Final = "workflows:"
_NAME_LINE: Final = re.compile(r"  [^\s#]")


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines of the lock: their text, and the number of lines above them."""

    text: str
    offset: int


def read_lock(
    text: str,
    *,
    path: Path = _UNNAMED,
    environment: str | None = None,
    known: Mapping[str, WorkflowAccess] | None = None,
) -> AccessLock:
    """Read a lock's `text`; raise `LockError`, with its place in `path`, for all that is not exactly a lock.

    With `environment`, a lock of another environment is refused. `known` maps a workflow's text, as `write_workflow`
    writes it, to its value: such a block is taken as that value without being read again.
    """
    header, *blocks = _split(text)
    fields = _parse(header, path).fields(_HEADER, "exceptions")
    _check_version(fields["version"])
    name = fields["environment"].text()
    if environment is not None and name != environment:
        raise another_environment(name, environment, _place(fields["environment"]))
    for block in blocks:
        _check_indent(block, path)
    if not blocks and fields["workflows"].value not in ({}, None):
        raise fields["workflows"].error("a workflow's name must stand two spaces in, on a line of its own")
    return AccessLock(
        environment=name,
        facts=_read_facts(fields),
        agents=tuple(_read_agent(workflow, node) for workflow, node in _sorted_entries(fields["agents"])),
        databases=tuple((tool, node.text()) for tool, node in _sorted_entries(fields["databases"])),
        workflows=_read_workflows(blocks, path, known or {}),
        exceptions=_read_exceptions(fields["exceptions"]) if "exceptions" in fields else (),
    )


def _split(text: str) -> list[_Block]:
    """Return the header with its `workflows:` line, then one block for each workflow."""
    lines = text.split("\n")
    try:
        start = next(n for n, line in enumerate(lines) if line.rstrip() == _WORKFLOWS_LINE) + 1
    except StopIteration:
        return [_Block(text, 0)]
    blocks = [_Block("\n".join(lines[:start]) + "\n", 0)]
    begins = [n for n in range(start, len(lines)) if _begins_workflow(lines[n])] or [len(lines)]
    begins[0] = start  # what stands before the first name is an error of the first block
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        block = "\n".join(lines[begin:end])
        if block.strip():
            blocks.append(_Block(block if end == len(lines) else block + "\n", begin))
    return blocks


def _check_indent(block: _Block, path: Path) -> None:
    """Refuse a block that does not begin with its workflow's name, two spaces in."""
    for number, line in enumerate(block.text.split("\n"), block.offset + 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not _begins_workflow(line):
            message = "a workflow's name must stand here, two spaces in"
            raise LockError(message, location=Location(path, number, len(line) - len(line.lstrip()) + 1))
        return


def _begins_workflow(line: str) -> bool:
    return _NAME_LINE.match(line) is not None


def _parse(block: _Block, path: Path) -> Node:
    try:
        source = parse_source(block.text, path)
    except DeclarationError as error:
        place = Location(path, error.location.line + block.offset, error.location.column)
        raise LockError(error.message, location=place, hint=error.hint) from error
    return Node(source, block.offset, (), source.value)


def _place(node: Node) -> Location:
    place = node.source.locate(node.path)
    return Location(place.path, place.line + node.offset, place.column)


def _check_version(node: Node) -> None:
    version = node.count()
    if version > VERSION:
        raise node.error(f"the lock has version {version}, this narrowgate reads up to {VERSION}", "update narrowgate")
    if version < VERSION:
        raise node.error(f"no lock has version {version}")


def _sorted_entries(node: Node) -> list[tuple[str, Node]]:
    entries = list(node.entries())
    for (before, _), (after, child) in itertools.pairwise(entries):
        if after < before:
            raise child.error(f"`{after}` must stand before `{before}`: names are sorted", key=True)
    return entries


def _read_facts(fields: dict[str, Node]) -> tuple[tuple[str, str], ...]:
    sections = {
        section: fields[section].fields(" ".join(fact.key for fact in FACTS if fact.section == section))
        for section in _SECTIONS
    }
    return tuple((fact.name, sections.get(fact.section, fields)[fact.key].text()) for fact in FACTS)


def _read_agent(workflow: str, node: Node) -> WorkflowBinding:
    fields = node.fields("namespace service_account principal_arn cidrs")
    return WorkflowBinding(
        workflow=workflow,
        namespace=fields["namespace"].text() or None,
        service_account=fields["service_account"].text() or None,
        principal_arn=fields["principal_arn"].text() or None,
        cidrs=fields["cidrs"].texts(),
    )


def _read_exceptions(node: Node) -> tuple[RuleException, ...]:
    found: list[RuleException] = []
    for item in node.items():
        fields = item.fields("rule resource reason owner expires")
        try:
            dt.date.fromisoformat(fields["expires"].text())
        except ValueError as error:
            raise fields["expires"].error("must be a date, as in 2026-12-31") from error
        exception = RuleException(**{name: value.text() for name, value in fields.items()})
        if found and exception <= found[-1]:
            raise item.error("exceptions stand sorted, each once")
        found.append(exception)
    return tuple(found)


def _read_workflows(
    blocks: list[_Block], path: Path, known: Mapping[str, WorkflowAccess]
) -> tuple[WorkflowAccess, ...]:
    found: dict[str, WorkflowAccess] = {}
    last = ""
    for block in blocks:
        workflow = known.get(block.text)
        if workflow is None:
            workflow = _read_block(block, path)
        if workflow.name <= last:
            why = "stands twice" if workflow.name in found else f"must stand before `{last}`: names are sorted"
            raise LockError(f"workflow `{workflow.name}` {why}", location=Location(path, block.offset + 1, 3))
        found[workflow.name] = workflow
        last = workflow.name
    return tuple(found.values())


def _read_block(block: _Block, path: Path) -> WorkflowAccess:
    node = _parse(block, path)
    entries = list(node.entries())
    if len(entries) != 1:
        raise node.error("a workflow's name must stand alone")
    (name, workflow), *_ = entries
    return _read_workflow(name, workflow)


def _read_workflow(name: str, node: Node) -> WorkflowAccess:
    fields = node.fields(_WORKFLOW)
    return WorkflowAccess(
        name=name,
        owner=fields["owner"].text(),
        purpose=fields["purpose"].text(),
        identity=fields["identity"].text(),
        requesters=fields["requesters"].texts(),
        ttl_seconds=fields["ttl"].seconds(),
        max_ttl_seconds=fields["max_ttl"].seconds(),
        tools=tuple(_read_tool(name, tool, child) for tool, child in _sorted_entries(fields["tools"])),
    )


def _read_tool(workflow: str, tool: str, node: Node) -> ToolAccess:
    fields = node.fields("backend ttl max_ttl scope actions", "secret_fields")
    return ToolAccess(
        workflow=workflow,
        tool=tool,
        backend=fields["backend"].choice(Backend),
        scope=write_json(fields["scope"].value),
        actions=tuple(_read_action(name, child) for name, child in _sorted_entries(fields["actions"])),
        ttl_seconds=fields["ttl"].seconds(),
        max_ttl_seconds=fields["max_ttl"].seconds(),
        secret_fields=tuple(fields["secret_fields"].texts()) if "secret_fields" in fields else (),
    )


def _read_action(name: str, node: Node) -> ActionAccess:
    fields = node.fields("access impact gated grants", "approval execution")
    return ActionAccess(
        name=name,
        access=fields["access"].choice(Access),
        impact=fields["impact"].choice(Impact),
        gated=fields["gated"].flag(),
        grants=tuple(read_grant(grant) for grant in fields["grants"].items()),
        approval=_read_approval(fields["approval"]) if "approval" in fields else None,
        execution=_read_execution(fields["execution"]) if "execution" in fields else None,
    )


def _read_execution(node: Node) -> Execution:
    fields = node.fields("handler description call inputs")
    return Execution(
        handler=fields["handler"].text(),
        inputs=write_json(fields["inputs"].value),
        call=write_json(fields["call"].value),
        description=fields["description"].text(),
    )


def _read_approval(node: Node) -> Approval:
    fields = node.fields("expires all_of")
    return Approval(
        factors=tuple(_read_factor(factor) for factor in fields["all_of"].items()),
        expires_seconds=fields["expires"].seconds(),
    )


def _read_factor(node: Node) -> Factor:
    fields = node.fields("required any_of")
    return Factor(groups=fields["any_of"].texts(), required=fields["required"].count())
