"""Every mistake in a declaration has a place, a code and a hint, and one run finds all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.declarations import DeclarationError

INCIDENT = "workflows/incident-summarization.yaml"
TICKET = "workflows/ticket-drafting.yaml"
VENDOR = "workflows/vendor-onboarding.yaml"
LOGS = "tools/logs.yaml"


def find_errors(stacks: Path) -> tuple[DeclarationError, ...]:
    with pytest.raises(DeclarationErrors) as caught:
        load_plan(stacks, load_environment(stacks, "dev"))
    return caught.value.errors


def test_all_mistakes_of_all_files_are_found_in_one_run(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(INCIDENT, "[search]", "[serach]")
    edit(TICKET, "[read, draft]", "[read, drafts]")
    edit(VENDOR, "owner: procurement\n", "")
    edit(LOGS, '"logs:GetLogEvents"', '"logs:GetLogEvent"')
    errors = find_errors(stacks)
    assert [(e.location.path.name, e.code) for e in errors] == [
        ("logs.yaml", "unknown-iam-action"),
        ("ticket-drafting.yaml", "unknown-action"),
        ("vendor-onboarding.yaml", "missing-key"),
    ]


def test_a_broken_tool_hides_no_other_mistake_of_its_workflow(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(LOGS, '"logs:GetLogEvents"', '"logs:GetLogEvent"')
    edit(INCIDENT, "{tenant: emea}", "{}")
    assert {e.code for e in find_errors(stacks)} == {"unknown-iam-action", "missing-scope"}


def test_a_workflow_that_is_not_promoted_here_is_checked_all_the_same(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(INCIDENT, "[dev]", "[prod]")
    edit(INCIDENT, "[search]", "[serach]")
    assert [e.code for e in find_errors(stacks)] == ["unknown-action"]


def test_a_workflow_that_is_not_promoted_here_has_no_access(
    stacks: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit(INCIDENT, "[dev]", "[prod]")
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    assert [w.name for w in plan.workflows] == ["nightly-reconciliation", "ticket-drafting", "vendor-onboarding"]


@pytest.mark.parametrize(
    ("content", "code", "line", "column"),
    [
        (b"version: 1\nworkflow: \xff\n", "not-utf-8", 2, 11),
        (b"x" * (256 * 1024 + 1), "too-large", 1, 1),
        (b"", "wrong-type", 1, 1),
        (b"- a\n", "wrong-type", 1, 1),
        (b"a: b\x00c\n", "yaml-syntax", 1, 1),
        (b'version: 1\nowner: "a\\u0000b"\n', "control-character", 2, 8),
        (b'version: 1\nowner: "a\\ud800b"\n', "control-character", 2, 8),
        (b"a: 1\n---\nb: 2\n", "several-documents", 2, 1),
        (b"[" * 200, "too-deep", 1, 25),
        (b"? [a]\n: 1\n", "key-not-text", 1, 3),
        (b"1: 2\n", "key-not-text", 1, 1),
        (b"version: 99999999999999999999999\n", "number-too-long", 1, 10),
        (b"a: &a [x]\nb: &b [*a, *a]\n", "yaml-alias", 1, 4),
    ],
)
def test_a_file_that_is_no_declaration_is_an_error_with_a_place(
    stacks: Path, content: bytes, code: str, line: int, column: int
) -> None:
    (stacks / "workflows" / "odd.yaml").write_bytes(content)
    errors = [e for e in find_errors(stacks) if e.location.path.name == "odd.yaml"]
    assert (errors[0].code, errors[0].location.line, errors[0].location.column) == (code, line, column)


def test_a_link_out_of_the_folder_is_refused(stacks: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    (stacks / INCIDENT).rename(outside)
    (stacks / INCIDENT).symlink_to(outside)
    assert [e.code for e in find_errors(stacks)] == ["outside-folder"]


def test_a_dangling_link_and_a_folder_are_refused(stacks: Path) -> None:
    (stacks / "workflows" / "gone.yaml").symlink_to(stacks / "workflows" / "nothing.yaml")
    (stacks / "workflows" / "folder.yaml").mkdir()
    assert [e.code for e in find_errors(stacks)] == ["unreadable", "unreadable"]


def test_a_file_that_ends_in_yml_is_not_passed_over(stacks: Path) -> None:
    (stacks / INCIDENT).rename(stacks / "workflows" / "incident-summarization.yml")
    assert [e.code for e in find_errors(stacks)] == ["file-name"]


def test_missing_folders_are_an_error(stacks: Path) -> None:
    environment = load_environment(stacks, "dev")
    with pytest.raises(DeclarationErrors) as caught:
        load_plan(stacks / "nothing", environment)
    assert [e.code for e in caught.value.errors] == ["unreadable", "unreadable"]


def test_the_order_of_errors_is_that_of_places(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(INCIDENT, "owner: ", "zzz: 1\nyyy: 2\nowner: ")
    errors = find_errors(stacks)
    assert [e.location.line for e in errors] == [4, 5]
    assert str(errors[0]).startswith(f"{stacks / INCIDENT}:4:1: ")
