"""Bindings are checked where they stand, for every tool, and a backend's own limits are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.compile import CompileError
from narrowgate.compile.foundation import compile_foundation
from narrowgate.declarations import DeclarationErrors, load_environment, load_plan
from narrowgate.declarations.checking import check_stacks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ENV = "Pulumi.dev.yaml"
VENDORS = "      vendors: {host: postgres.dev.example.com, port: 5432, database: operations}"
BROKER = "arn:aws:iam::111111111111:user/narrowgate/dev/broker"
ROLE = "arn:aws:iam::111111111111:role/narrowgate/dev/broker"
INCIDENT = "workflows/incident-summarization.yaml"


@pytest.mark.parametrize(
    ("binding", "code", "column"),
    [
        ("{host: 'a b', port: 5432, database: operations}", "bad-binding", 17),
        ("{host: a, port: 99999, database: operations}", "bad-binding", 26),
        ("{host: a, port: 5432, database: 'x; drop'}", "bad-binding", 38),
        ("{host: a, port: 5432, database: operations, pasword: x}", "bad-binding", 60),
        ("{port: 5432, database: operations}", "missing-binding", 7),
    ],
)
def test_a_wrong_binding_is_one_error_where_it_stands(
    stacks: Path, edit: Callable[[str, str, str], None], binding: str, code: str, column: int
) -> None:
    line = (stacks / ENV).read_text(encoding="utf-8").splitlines().index(VENDORS) + 1
    edit(ENV, VENDORS, f"      vendors: {binding}")
    (error,) = check_stacks(stacks).errors
    assert (error.location.path, error.location.line, error.location.column, error.code) == (
        stacks / ENV,
        line,
        column,
        code,
    )


def test_a_tool_that_no_workflow_uses_is_checked_too(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(ENV, VENDORS, "      vendors: {host: 'a b', database: operations}")
    (stacks / "workflows" / "vendor-onboarding.yaml").unlink()
    assert [e.code for e in check_stacks(stacks).errors] == ["bad-binding"]


def test_the_foundation_of_a_wrong_binding_is_an_expected_error(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(ENV, VENDORS, "      vendors: {host: 'a b', database: operations}")
    with pytest.raises(CompileError, match="binding of vendors is wrong: host"):
        compile_foundation(load_environment(stacks, "dev"))


def test_a_broker_that_is_a_role_caps_what_is_not_said(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(ENV, BROKER, ROLE)
    edit(ENV, "max_ttl: 1h", "max_ttl: 4h")
    edit(INCIDENT, "max_ttl: 1h", "max_ttl: 4h")
    (workflow, *_) = load_plan(stacks, load_environment(stacks, "dev")).workflows
    assert {tool.tool: tool.max_ttl_seconds for tool in workflow.tools} == {
        "documents": 3600,
        "incidents": 14400,
        "logs": 3600,
    }


def test_a_broker_that_is_a_role_refuses_what_it_cannot_give(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(ENV, BROKER, ROLE)
    edit(ENV, "max_ttl: 1h", "max_ttl: 4h")
    edit(INCIDENT, "[search]", "[search]\n    max_ttl: 2h")
    with pytest.raises(DeclarationErrors, match="end after 1h") as caught:
        load_plan(stacks, load_environment(stacks, "dev"))
    assert [e.code for e in caught.value.errors] == ["time"]


def test_a_broker_that_is_a_user_gives_what_the_environment_allows(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(ENV, "max_ttl: 1h", "max_ttl: 4h")
    edit(INCIDENT, "[search]", "[search]\n    max_ttl: 2h")
    (workflow, *_) = load_plan(stacks, load_environment(stacks, "dev")).workflows
    assert {tool.max_ttl_seconds for tool in workflow.tools if tool.tool == "logs"} == {7200}
