"""What an environment must say before a gated action can be executed there, and who can't be named like its people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.declarations import DeclarationErrors, load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GROUPS = "      groups: [incident-commanders, vendor-approvers]\n"
WORKFLOW = "workflows/vendor-onboarding.yaml"


def load(stacks: Path) -> None:
    load_plan(stacks, load_environment(stacks, "dev"))


@pytest.mark.parametrize(
    ("file", "old", "new", "code", "words"),
    [
        ("Pulumi.dev.yaml", f"    approvals:\n{GROUPS}", "", "missing-binding", "who may approve"),
        (WORKFLOW, "[vendor-approvers]", "[vendor-aprovers]", "unknown-approvers", "vendor-aprovers"),
        (WORKFLOW, "expires: 30m", "expires: 7h58m", "time", "7h55m"),
    ],
)
def test_a_gate_that_could_not_hold_is_a_mistake_with_its_place(  # noqa: PLR0913, PLR0917 - a case's columns
    stacks: Path, edit: Callable[[str, str, str], None], file: str, old: str, new: str, code: str, words: str
) -> None:
    edit(file, old, new)
    with pytest.raises(DeclarationErrors) as caught:
        load(stacks)
    found = [error for error in caught.value.errors if error.code == code]
    assert found
    assert any(words in str(error) for error in found)
    assert {error.location.path.name for error in found} <= {
        "vendor-onboarding.yaml",
        "incident-summarization.yaml",
    }
    assert all(error.location.line > 1 for error in found)


@pytest.mark.parametrize("name", ["approvers", "executors"])
def test_no_workflow_is_called_like_who_logs_in_at_the_gate(stacks: Path, name: str) -> None:
    text = (stacks / WORKFLOW).read_text().replace("workflow: vendor-onboarding", f"workflow: {name}")
    (stacks / WORKFLOW).unlink()
    (stacks / "workflows" / f"{name}.yaml").write_text(text)
    with pytest.raises(DeclarationErrors, match="logs in at the gate") as caught:
        load(stacks)
    assert {error.code for error in caught.value.errors} == {"reserved-name"}


@pytest.mark.parametrize(
    ("arn", "words"),
    [
        ("arn:aws:iam::111111111111:user/narrowgate/dev/broker", "one broker"),
        ("arn:aws:iam::222222222222:user/narrowgate/dev/gated", "the broker is of"),
        ("arn:aws:iam::111111111111:user/narrowgate/prod/gated", "path is not"),
    ],
)
def test_gated_roles_have_a_broker_of_their_own(
    stacks: Path, edit: Callable[[str, str, str], None], arn: str, words: str
) -> None:
    bound = "arn:aws:iam::111111111111:user/narrowgate/dev/gated-broker"
    edit("Pulumi.dev.yaml", f"gated_broker_arn: {bound}\n", f"gated_broker_arn: {arn}\n")
    with pytest.raises(DeclarationErrors, match=words):
        load_environment(stacks, "dev")


def test_a_scope_that_would_become_a_reference_is_refused(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    edit(WORKFLOW, "scope: {tenant: emea}", 'scope: {tenant: "${inputs.name}"}')
    with pytest.raises(DeclarationErrors, match="would be a reference itself"):
        load(stacks)
