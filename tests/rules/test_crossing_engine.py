"""The real engine: a dev stack bound to a real thing of prod deploys nothing, by the program and by the pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engine_runs import PROGRAMS, ROOT, STACKS, Bench

from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal

OURS = {
    "account": ("111111111111", "222222222222", "share the AWS account 222222222222"),
    "vault": ("vault.dev.", "vault.prod.", "dev and prod share the Vault https://vault.prod.example.com:8200"),
    "bucket": ("acme-dev-documents", "acme-prod-documents", "dev and prod share the bucket acme-prod-documents"),
    "database": (
        "postgres.dev.",
        "postgres.prod.",
        "dev and prod share the database operations at postgres.prod.example.com",
    ),
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    engine = ensure_engine(print)
    return Bench(tmp_path_factory.mktemp("engine"), engine.path, engine.version)


def make_folder(above: Path) -> Path:
    folder = above / "own"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("stack", ["dev", "dev-foundation"])
@pytest.mark.parametrize("thing", OURS)
def test_our_program_deploys_nothing_without_the_pack(bench: Bench, tmp_path: Path, thing: str, stack: str) -> None:
    own, other, words = OURS[thing]
    text = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    assert own in text
    files = {
        "Pulumi.dev.yaml": text.replace(own, other),
        "Pulumi.dev-foundation.yaml": (ROOT / "stacks" / "Pulumi.dev-foundation.yaml").read_text(encoding="utf-8"),
    }
    run = Bench(make_folder(tmp_path), *bench.engine).run_program(
        ROOT / "stacks", stack, files, "up", "--yes", "--skip-preview", pack=False
    )
    assert run.status != 0
    assert words in run.output
    assert "Pulumi.prod.yaml:" in run.output
    assert "Traceback" not in run.output
    assert run.created == ()


def test_the_pack_refuses_what_a_program_that_does_not_judge_would_deploy(bench: Bench) -> None:
    text = (STACKS / "Pulumi.dev.yaml").read_text(encoding="utf-8").replace("acme-dev-documents", "acme-prod-documents")
    run = bench.run_program(PROGRAMS / "compliant", "crossing", {"Pulumi.crossing.yaml": text}, "preview")
    assert run.status != 0
    assert "dev and prod share the bucket acme-prod-documents" in run.output
    assert run.created == ()


def test_a_broken_file_of_another_environment_refuses_all(tmp_path: Path, bench: Bench) -> None:
    """Nobody can tell what is another's where that cannot be read."""
    stacks = tmp_path / "stacks"
    (stacks / "locks").mkdir(parents=True)
    (stacks / "locks" / "dev.yaml").write_text((STACKS / "locks" / "dev.yaml").read_text())
    (stacks / "Pulumi.prod.yaml").write_text("config: {narrowgate:environment: {name: prod}}\n")
    text = (STACKS / "Pulumi.dev.yaml").read_text(encoding="utf-8")
    own = Bench(make_folder(tmp_path), *bench.engine, stacks=stacks)
    run = own.run_program(PROGRAMS / "compliant", "blind", {"Pulumi.blind.yaml": text}, "preview")
    assert run.status != 0
    assert "Pulumi.prod.yaml" in run.output
    assert run.created == ()
