"""The real engine with the pack: our own deployer passes in preview, one that is a statement wider does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_runs import ROOT, Bench

from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal

PROGRAM = """\
from dataclasses import replace
from pathlib import Path

from narrowgate.compile.deployer import compile_deployer
from narrowgate.compile.documents import VaultPolicy
from narrowgate.declarations import load_environment
from narrowgate_pulumi import Deployer

made = compile_deployer(load_environment(Path({stacks!r}), "dev"))
{change}
Deployer("dev-ci", {{"documents": made}})
"""
DEPLOYER = "made = replace(made, deployer=replace(made.deployer, {changes}))"
# Not one that the deployer's own denials take back, as they do iam:PassRole.
STATEMENT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme-dev-documents/*"}
WIDER = {
    "as-compiled": ("", None),
    "more-iam": (
        DEPLOYER.format(
            changes="role=replace(made.deployer.role, policies={"
            f"**made.deployer.role.policies, 'more': {{'Version': '2012-10-17', 'Statement': [{STATEMENT!r}]}}}})"
        ),
        "the deployer may do more",
    ),
    "more-vault": (
        DEPLOYER.format(
            changes="policy=VaultPolicy(made.deployer.policy.name, made.deployer.policy.text + "
            '\'path "narrowgate-aws/sts/+" { capabilities = ["read"] }\'))'
        )[:-1],
        "'system.deployer' grants more than the deployer may",
    ),
    "more-jobs": (
        DEPLOYER.format(
            changes="auth_role=replace(made.deployer.auth_role, settings={**made.deployer.auth_role.settings, "
            "'bound_subject': 'repo:acme/agents:pull_request'})"
        ),
        "does not bind whom the environment names",
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("engine"), engine.path, engine.version, pack=ROOT / "policies")


@pytest.mark.parametrize("case", WIDER)
def test_only_the_deployer_of_the_table_passes(bench: Bench, tmp_path: Path, case: str) -> None:
    change, reason = WIDER[case]
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(PROGRAM.format(stacks=str(ROOT / "stacks"), change=change))
    config = "config:\n  narrowgate:environment: dev\n  narrowgate:stack: foundation\n"
    run = bench.run_program(program, case, {f"Pulumi.{case}.yaml": config}, "preview")
    assert (run.status == 0) is (reason is None), run.output
    assert reason is None or reason in run.output
    assert "Traceback" not in run.output
    assert run.created == ()
