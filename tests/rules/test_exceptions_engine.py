"""An exception that the lock states lets one resource pass in the real engine, until it expires."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from engine_runs import STACKS, Bench

from narrowgate.access.lock import lock_file, read_lock, write_lock
from narrowgate.plan import RuleException
from rehearsal.engine import ensure_engine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.rehearsal

PROGRAM = """\
import json
import pulumi_aws as aws

trust = {"Effect": "Allow", "Action": "sts:AssumeRole",
         "Principal": {"AWS": "arn:aws:iam::111111111111:role/reporting"}}
read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/*"}
aws.iam.Role(
    "reports",
    name="reports",
    assume_role_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    max_session_duration=3600,
    inline_policies=[{"name": "p", "policy": json.dumps({"Version": "2012-10-17", "Statement": [read]})}],
)
"""
TODAY = dt.datetime.now(dt.UTC).date()


@pytest.mark.parametrize(("days", "passes"), [(None, False), (30, True), (-1, False)], ids=["none", "held", "expired"])
def test_an_exception_holds_until_it_expires(tmp_path: Path, days: int | None, *, passes: bool) -> None:
    stacks = tmp_path / "stacks"
    shutil.copytree(STACKS, stacks)
    lock = lock_file(stacks, "dev")
    if days is not None:
        expires = (TODAY + dt.timedelta(days=days)).isoformat()
        exception = RuleException("iam-boundary-required", "aws:iam/role:Role::reports", "why", "sre", expires)
        lock.write_text(write_lock(replace(read_lock(lock.read_text()), exceptions=(exception,))))
    program = tmp_path / "program"
    program.mkdir()
    (program / "__main__.py").write_text(PROGRAM)
    engine = ensure_engine(print)
    bench = Bench(tmp_path, engine.path, engine.version, stacks=stacks)
    files = {"Pulumi.dev.yaml": (STACKS / "Pulumi.dev.yaml").read_text()}
    run = bench.run_program(program, "dev", files, "preview")
    assert (run.status == 0) == passes, run.output
    assert ("iam-boundary-required" in run.output) != passes
