"""Shards: each workflow is in exactly one, by its name alone; stacks that don't fit together are refused."""

from __future__ import annotations

import runpy
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import narrowgate_pulumi
import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from narrowgate_policies import transform

from narrowgate import operations
from narrowgate.declarations import DeclarationErrors, Shard, load_plan, load_shard
from narrowgate.declarations.checking import check_stacks
from narrowgate.declarations.shards import WHOLE, shard_of
from narrowgate.errors import Location

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Write = Callable[[str, str], None]

ALL = {"incident-summarization", "nightly-reconciliation", "ticket-drafting", "vendor-onboarding"}

names = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True)
totals = st.integers(1, 40)


@given(names, totals)
def test_each_workflow_is_in_exactly_one_shard(name: str, total: int) -> None:
    assert [n for n in range(1, total + 1) if Shard(n, total).holds(name)] == [shard_of(name, total)]


@given(names, totals)
def test_one_more_shard_moves_workflows_only_to_the_new_one(name: str, total: int) -> None:
    assert shard_of(name, total + 1) in {shard_of(name, total), total + 1}


def test_shards_are_about_even_and_the_same_for_ever() -> None:
    counts = [0] * 8
    for number in range(8000):
        counts[shard_of(f"workflow-{number}", 8) - 1] += 1
    assert min(counts) > 850
    assert max(counts) < 1150
    # what is deployed stays where it is: these may never change
    assert [shard_of(name, 8) for name in sorted(ALL)] == [2, 8, 6, 5]


def test_the_shard_does_not_depend_on_the_process() -> None:
    code = "from narrowgate.declarations.shards import shard_of; print([shard_of(f'w-{n}', 7) for n in range(50)])"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert said == {f"{[shard_of(f'w-{n}', 7) for n in range(50)]}\n"}


@pytest.fixture
def write(stacks: Path) -> Write:
    """Return a function that adds a line to dev's config, or writes a stack of dev that holds it."""

    def put(name: str, lines: str) -> None:
        file = stacks / f"Pulumi.{name}.yaml"
        text = file.read_text(encoding="utf-8") if file.exists() else "config:\n  narrowgate:environment: dev\n"
        file.write_text(text.replace("config:\n", f"config:\n{lines}", 1), encoding="utf-8")

    return put


def test_a_stack_that_says_nothing_deploys_everything(stacks: Path) -> None:
    assert load_shard(stacks, "dev") == load_shard(stacks, "dev-foundation") == WHOLE


def test_shards_name_the_environment_as_the_foundation_does(stacks: Path, write: Write) -> None:
    write("dev", "  narrowgate:shard: 1/2\n")
    write("dev-2", "  narrowgate:shard: 2/2\n")
    assert load_shard(stacks, "dev") == Shard(1, 2)
    assert load_shard(stacks, "dev-2") == Shard(2, 2)
    assert check_stacks(stacks).errors == ()


ONE = "  narrowgate:shard: 1/2\n"
MISTAKES = {
    "more than there are": ({"dev": "  narrowgate:shard: 9/8\n"}, "dev", 3, 21, "there is no shard 9 of 8"),
    "none": ({"dev": "  narrowgate:shard: 0/8\n"}, "dev", 3, 21, "there is no shard 0 of 8"),
    "of none": ({"dev": "  narrowgate:shard: 1/0\n"}, "dev", 3, 21, "0 shards are not possible"),
    "too many": ({"dev": "  narrowgate:shard: 1/999\n"}, "dev", 3, 21, "999 shards are not possible"),
    "a number": ({"dev": "  narrowgate:shard: 2\n"}, "dev", 3, 21, "2 is no shard"),
    "words": ({"dev": "  narrowgate:shard: one of two\n"}, "dev", 3, 21, "'one of two' is no shard"),
    "other digits": ({"dev": "  narrowgate:shard: '\u0661/\u0662'\n"}, "dev", 3, 21, "is no shard"),
    "a foundation's": ({"dev-foundation": ONE}, "dev-foundation", 3, 3, "a foundation has no shards"),
    "an unknown kind": ({"dev": "  narrowgate:stack: fundation\n"}, "dev", 3, 21, "'fundation' is no kind of stack"),
    "beside all": ({"dev-2": "  narrowgate:shard: 2/2\n"}, "dev", 3, 3, "dev deploys every workflow of dev, and dev-2"),
    "another total": (
        {"dev": ONE, "dev-2": "  narrowgate:shard: 2/3\n"},
        "dev",
        3,
        21,
        "dev is one of 2 shards, others of dev are of 3",
    ),
    "one twice": ({"dev": ONE, "dev-2": ONE}, "dev-2", 2, 21, "dev-2 and dev are both shard 1/2 of dev"),
    "one that nobody deploys": ({"dev": ONE}, "dev", 3, 21, "no stack deploys shard 2/2 of dev"),
}


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_has_its_place_and_stops_every_stack_of_the_environment(
    name: str, stacks: Path, write: Write
) -> None:
    files, where, line, column, message = MISTAKES[name]
    for stack, lines in files.items():
        write(stack, lines)
    with pytest.raises(DeclarationErrors) as caught:
        load_shard(stacks, where)
    (error,) = caught.value.errors
    assert message in error.message
    assert error.location == Location(stacks / f"Pulumi.{where}.yaml", line, column)
    assert error.hint
    assert str(error) in [str(found) for found in check_stacks(stacks).errors]


def test_another_environments_shards_are_none_of_ours(stacks: Path, write: Write) -> None:
    (stacks / "Pulumi.prod-1.yaml").write_text(
        "config:\n  narrowgate:environment: prod\n  narrowgate:shard: 1/9\n", encoding="utf-8"
    )
    write("dev", "  narrowgate:shard: 1/1\n")
    assert load_shard(stacks, "dev") == WHOLE


def test_the_program_deploys_its_shard_and_judges_all(
    stacks: Path, write: Write, edit: Callable[[str, str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write("dev", ONE)
    write("dev-2", "  narrowgate:shard: 2/2\n")
    deployed: dict[str, set[str]] = {}
    monkeypatch.setattr(narrowgate_pulumi, "find_stack_config_dir", lambda: stacks)
    monkeypatch.setattr(transform, "judge_every_resource", lambda *_: None)  # there is no engine to ask it

    def run(stack: str) -> None:
        def record(documents: Any, _: Any, shard: Shard) -> None:  # noqa: ANN401 - compiled documents
            known = {workflow.access.name for workflow in documents.workflows}
            assert known == ALL
            deployed[stack] = {name for name in known if shard.holds(name)}

        monkeypatch.setattr(narrowgate_pulumi, "deploy_workflows", record)
        monkeypatch.setattr(transform, "judge_every_resource", lambda *_: None)  # there is no engine to ask it
        monkeypatch.setattr(operations, "read_revocations", lambda _: {})
        monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
        runpy.run_path(str(stacks / "__main__.py"))

    for stack in ("dev", "dev-2"):
        run(stack)
    assert deployed["dev"] | deployed["dev-2"] == ALL
    assert not deployed["dev"] & deployed["dev-2"]
    assert deployed["dev"]
    assert deployed["dev-2"]
    # a workflow of one shard that is not within the lock stops the other too: a review is of the environment
    edit("workflows/ticket-drafting.yaml", "requesters: [service-desk]", "requesters: [service-desk, interns]")
    for stack in ("dev", "dev-2"):
        with pytest.raises(pulumi.RunError):
            run(stack)


def test_the_plan_is_the_environments_whatever_the_shard(stacks: Path, write: Write) -> None:
    from narrowgate.declarations import load_environment

    before = load_plan(stacks, load_environment(stacks, "dev"))
    write("dev", ONE)
    write("dev-2", "  narrowgate:shard: 2/2\n")
    assert load_plan(stacks, load_environment(stacks, "dev-2")) == before
