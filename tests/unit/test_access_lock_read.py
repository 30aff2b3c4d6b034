"""A lock is read strictly: each mistake is an error with its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.enforcement import load_lock
from narrowgate.access.lock import LockError, lock_of, read_lock, write_lock
from narrowgate.access.lock.write import write_workflow
from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import TableGrant

if TYPE_CHECKING:
    from narrowgate.plan import AccessPlan


@pytest.fixture
def plan(stacks: Path) -> AccessPlan:
    return load_plan(stacks, load_environment(stacks, "dev"))


@pytest.fixture
def text(plan: AccessPlan) -> str:
    return write_lock(plan)


def test_the_committed_lock_is_the_committed_declarations(plan: AccessPlan, stacks: Path) -> None:
    lock = load_lock(stacks / "locks" / "dev.yaml", environment="dev")
    assert lock == lock_of(plan)
    assert lock.plan(plan.environment) == plan


# (what is replaced, by what, where the error must stand, what it must say)
MISTAKES = [
    ("version: 1", "version: 2", (3, 10), "version 2"),
    ("version: 1", "version: 0", (3, 10), "version 0"),
    ("version: 1", 'version: "1"', (3, 10), "whole number"),
    ("environment: dev\n", "", (3, 1), "`environment` is missing"),
    ("account:", "acount:", (5, 1), "unknown key `acount`"),
    ("    owner: sre-platform", "    owner: [sre-platform]", (47, 12), "must be text"),
    ("    owner: sre-platform\n", "", (46, 3), "`owner` is missing"),
    ("    ttl: 15m\n", "    ttl: 15\n", None, "must be text"),
    ("        backend: aws\n        ttl: 15m", "        backend: gcp\n        ttl: 15m", None, "`gcp` is not known"),
    ("              - execute:", "              - run:", None, "no grant begins with `run`"),
    ("StringLike s3:prefix:", "StringLike:", None, "is no condition"),
    ("workflows:\n", "workflows:\n  other: &a\n    owner: x\n", None, "anchors"),
    ("workflows:\n", "workflows: &a\n", None, "anchors"),
    ("  incident-summarization:\n", "   incident-summarization:\n", None, "two spaces in"),
    ("  vendor-onboarding:\n", "  aaa:\n", None, "names are sorted"),
    ("  vendor-onboarding:\n", "  ticket-drafting:\n", None, "stands twice"),
    ("gated: true", "gated: yes", None, "must be true or false"),
    ("required: 1", "required: -1", None, "must be a whole number"),
    ("    requesters:\n      - procurement\n", "    requesters: procurement\n", None, "must be a list"),
    ("- table: public.tickets", "- table: tickets", None, "schema.name"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "place", "words"), MISTAKES, ids=[m[3] for m in MISTAKES])
def test_a_mistake_is_an_error_with_its_place(
    text: str, old: str, new: str, place: tuple[int, int] | None, words: str
) -> None:
    assert old in text
    changed = text.replace(old, new, 1)
    with pytest.raises(LockError) as raised:
        read_lock(changed, path=Path("locks/dev.yaml"))
    assert words in str(raised.value)
    location = raised.value.location
    assert location is not None
    if place is None:
        # The line is the first that differs, or the one of the mapping that holds it.
        lines = zip(text.split("\n"), changed.split("\n"), strict=False)
        first = next(n for n, (before, after) in enumerate(lines, 1) if before != after)
        assert abs(location.line - first) <= 1
    else:
        assert (location.line, location.column) == place


def test_a_lock_of_another_environment_is_refused(text: str) -> None:
    with pytest.raises(LockError, match="environment `dev`, not for `prod`") as raised:
        read_lock(text, environment="prod")
    assert raised.value.hint is not None
    assert "narrowgate access lock --env prod" in raised.value.hint


def test_a_workflow_cannot_hide_in_the_text_of_another(text: str) -> None:
    # A quoted text that runs over the next workflow's first line ends with its block.
    changed = text.replace("purpose: Summarizes", 'purpose: "Summarizes', 1).replace(
        "  ticket-drafting:\n", '  ticket-drafting:\n    x: "\n', 1
    )
    with pytest.raises(LockError):
        read_lock(changed)


def test_a_second_document_after_the_last_workflow_is_refused(text: str) -> None:
    with pytest.raises(LockError):
        read_lock(text + "---\nversion: 1\n")


def test_a_lock_without_workflows_reads_back(plan: AccessPlan) -> None:
    empty = replace(lock_of(plan), databases=(), workflows=())
    assert read_lock(write_lock(empty)) == empty


def test_known_workflows_are_not_read_again_and_changed_ones_are(plan: AccessPlan, text: str) -> None:
    known = {write_workflow(workflow): workflow for workflow in plan.workflows}
    changed = text.replace("for the on-call channel", "for nobody")
    lock = read_lock(changed, known=known)
    assert [lock.workflow(w.name) is w for w in plan.workflows] == [False, *[True] * (len(plan.workflows) - 1)]
    assert lock == read_lock(changed)


def test_windows_line_ends_are_read(plan: AccessPlan, text: str) -> None:
    assert read_lock(text.replace("\n", "\r\n")) == lock_of(plan)


def test_the_lock_compiles_to_what_the_plan_compiles_to(plan: AccessPlan) -> None:
    lock = read_lock(write_lock(plan))
    assert compile_plan(lock.plan(plan.environment)) == compile_plan(plan)


def test_a_dotted_schema_cannot_be_stated(plan: AccessPlan) -> None:
    workflow = plan.workflows[1]
    tool = workflow.tools[0]
    grant = TableGrant("a.b", "c", ("SELECT",), ("id",))
    action = replace(tool.actions[0], grants=(grant,))
    odd = replace(workflow, tools=(replace(tool, actions=(action,)),))
    with pytest.raises(LockError, match="dot in its name"):
        write_lock(replace(plan, workflows=(odd,)))
