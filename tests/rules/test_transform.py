"""The program itself refuses what the pack refuses: a plain preview or `up` without the pack, in the real engine."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from engine_runs import ROOT, Bench
from refusals import REFUSED
from vault_without_records import bind_own_stacks

from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("engine"), engine.path, engine.version)


@pytest.fixture
def own(tmp_path: Path) -> Bench:
    """Return a bench whose pack is the checkout's own, with the checkout's own locks."""
    engine = ensure_engine(print)
    (tmp_path / "engine").mkdir()
    return Bench(tmp_path / "engine", engine.path, engine.version, pack=ROOT / "policies")


def test_compliant_programs_pass_without_the_pack(bench: Bench) -> None:
    run = bench.run_judged("compliant", "up", "--yes")
    assert run.status == 0, run.output
    assert "narrowgate@v" not in run.output
    assert len(run.created) == 12


@pytest.mark.parametrize("program", REFUSED)
def test_preview_refuses_without_the_pack(bench: Bench, program: str) -> None:
    rule, resource, reason = REFUSED[program]
    run = bench.run_judged(program)
    assert run.status != 0, run.output
    assert "Policies:" not in run.output
    assert "Nothing more is deployed: " in run.output
    assert "Traceback" not in run.output
    assert run.created == ()
    if f"[{rule}]" in run.output:
        assert resource in run.output
        assert reason in run.output
    else:  # the first refusal ends the program: a resource beside the one in question is not within the lock either
        assert "[access-within-lock]" in run.output


@pytest.mark.parametrize(
    ("program", "refused"),
    [
        ("role_allows_everything", "demo-everything"),
        ("unknown_policy_document", "demo-document"),
        ("two_workflows_one_vault_role", "policy-tool.onboarding.documents"),
        ("two_logins_one_agent", "onboarding-login"),
    ],
)
def test_what_is_refused_is_never_created_without_a_preview(bench: Bench, program: str, refused: str) -> None:
    run = bench.run_judged(program, "up", "--yes", "--skip-preview")
    assert run.status != 0, run.output
    assert "is refused" in run.output
    assert "Traceback" not in run.output
    assert not [urn for urn in run.created if urn.endswith(f"::{refused}")]


BESIDE_OURS = """

import json

import pulumi_aws

pulumi_aws.iam.Role(
    "demo-beside-ours",
    assume_role_policy=json.dumps({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }),
    inline_policies=[{
        "name": "all",
        "policy": json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }),
    }],
)
"""


@pytest.mark.parametrize("pack", [True, False], ids=["pack", "program"])
def test_a_hand_written_resource_beside_ours_is_refused(
    own: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, pack: bool
) -> None:
    stacks = tmp_path / "stacks"
    shutil.copytree(ROOT / "stacks", stacks)
    program = stacks / "__main__.py"
    text = program.read_text()
    # without its own judge the program is refused by the pack alone
    program.write_text((text.replace("    judge_every_resource(", "    print(") if pack else text) + BESIDE_OURS)
    monkeypatch.setenv("VAULT_TOKEN", "nobody's")
    with bind_own_stacks(stacks, tmp_path) as files:
        run = own.run_program(stacks, "dev", files, "preview", pack=pack)
    assert run.status != 0, run.output
    for rule in ("iam-role-no-admin", "iam-trust-narrow", "iam-boundary-required"):
        assert rule in run.output
    assert "demo-beside-ours" in run.output
    assert ("Policies:" in run.output) == pack
    assert "Traceback" not in run.output
    assert run.created == ()
