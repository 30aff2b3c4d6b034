"""The ordered steps of `up`, each of which may be repeated: it does what is missing and heals what broke.

A server that was killed is started again; an emulator that lost its account is seeded anew; the deploys first read what
really exists, so what got lost is made again. `down` and `reset` are here too. Each step is another module's work.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal import aws, bao, postgres, stack
from rehearsal.engine import ensure_aws_secrets_engine, ensure_engine
from rehearsal.errors import RehearsalError
from rehearsal.operator_environment import STACK
from rehearsal.processes import find_all, stop, stop_named
from rehearsal.state import hold_lock, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from rehearsal.layout import Layout
    from rehearsal.progress import Progress, StepLine

# Vault first: its plugin still talks to AWS and PostgreSQL when it ends.
STOP_ORDER = (bao.NAME, aws.NAME, postgres.NAME)


@dataclass(slots=True)
class Run:
    """One run of `up`: what earlier steps found and later ones need."""

    layout: Layout
    engine: Path | None = None
    vault_plugin: Path | None = None
    broker_changed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its `name`, and `work`, which sets the line's note to what it did."""

    name: str
    work: Callable[[Run, StepLine], None]


class StepError(RehearsalError):
    """A step of `up` failed; the cause is chained."""

    code = "rehearsal-step-failed"


def find_pulumi(run: Run, line: StepLine) -> None:
    """Get the Pulumi engine and its isolated home."""
    program = ensure_engine(line.report, cache=run.layout.cache)
    run.engine = program.path
    stack.prepare_engine(run.layout)
    line.note = f"v{program.version}, {program.path}"


def find_vault_plugin(run: Run, line: StepLine) -> None:
    """Get Vault's AWS secrets engine."""
    program = ensure_aws_secrets_engine(line.report, cache=run.layout.cache)
    run.vault_plugin = program.path
    line.note = f"v{program.version}, built from the Go module proxy (BUSL 1.1, for this machine only)"


def run_aws(run: Run, line: StepLine) -> None:
    """Start the emulated AWS account, and seed what is missing in it."""
    started = aws.start_aws(run.layout)
    seeding = aws.seed(run.layout)
    run.broker_changed = seeding.broker_changed
    found = "seeded" if seeding.empty else "its data is there"
    line.note = f"{aws.get_endpoint(run.layout)} {_say_started(started=started)}, {found}"


def run_postgres(run: Run, line: StepLine) -> None:
    """Start PostgreSQL, and seed it."""
    started = postgres.start_postgres(run.layout)
    line.note = f"{postgres.get_address(run.layout)} {_say_started(started=started)}"


def run_bao(run: Run, line: StepLine) -> None:
    """Start OpenBao, set it up, and let its AWS plugin read the broker's key."""
    if run.vault_plugin is None:
        raise RehearsalError("the AWS secrets engine was not found before OpenBao started")
    started = bao.start_bao(run.layout)
    fresh = bao.set_up(run.layout, run.vault_plugin)
    if run.broker_changed:
        bao.reload_aws_plugin(bao.open_client(run.layout, bao.log_in_operator(run.layout)))
    found = "initialised, root token revoked" if fresh else "unsealed"
    line.note = f"{bao.get_address(run.layout)} {_say_started(started=started)}, {found}"


def _say_started(*, started: bool) -> str:
    return "started" if started else "runs"


def write_project(run: Run, line: StepLine) -> None:
    """Write the Pulumi project for this machine and the folder of clients."""
    if run.engine is None:
        raise RehearsalError("the engine was not found before its project was written")
    stack.link_clients(run.layout, run.engine)
    stack.write_project(run.layout)
    line.note = str(run.layout.project)


def deploy_foundation(run: Run, line: StepLine) -> None:
    """Deploy the environment's foundation."""
    line.note = stack.deploy(run.layout, stack.FOUNDATION_STACK).summary


def deploy_workflows(run: Run, line: StepLine) -> None:
    """Deploy the environment's workflows, and write their manifests."""
    summary = stack.deploy(run.layout, STACK).summary
    workflows = stack.write_manifests(run.layout)
    line.note = f"{summary}; {len(workflows)} workflows"


SERVER_STEPS: Sequence[Step] = (
    Step("AWS (emulated)", run_aws),
    Step("PostgreSQL", run_postgres),
    Step("OpenBao", run_bao),
)
UP: Sequence[Step] = (
    Step("Pulumi engine", find_pulumi),
    Step("Vault's AWS plugin", find_vault_plugin),
    *SERVER_STEPS,
    Step("Pulumi project", write_project),
    Step(f"deploy {stack.FOUNDATION_STACK}", deploy_foundation),
    Step(f"deploy {STACK}", deploy_workflows),
)
SERVERS: Sequence[Step] = (UP[1], *SERVER_STEPS)
"""What tests need that deploy nothing."""


def run_steps(layout: Layout, progress: Progress, steps: Sequence[Step] = UP) -> None:
    """Run `steps` in order, one command at a time for each rehearsal.

    Raises:
        StepError: a step failed; the error names it, the reason and the log.

    """
    with hold_lock(layout, lambda: progress.say("another command works on this rehearsal: waiting for it to end")):
        make_folder(layout.logs)
        run = Run(layout)
        for number, step in enumerate(steps, start=1):
            with progress.step(step.name) as line:
                try:
                    step.work(run, line)
                except RehearsalError as error:
                    where = f"step {number} of {len(steps)}, {step.name}, failed after {line.seconds:.1f} s"
                    raise StepError(f"{where}: {error}", hint=error.hint, log=error.log) from error


def stop_all(layout: Layout) -> int:
    """End every process of this rehearsal, orphans too, keep its data, and return how many there were."""
    count = sum(stop_named(layout, name) for name in STOP_ORDER)
    while left := find_all(layout):
        count += len(left)
        for process in left:
            stop(process)
    return count


def bring_down(layout: Layout, progress: Progress) -> int:
    """End every process of this rehearsal once no other command works on it, and return how many there were."""
    if not layout.root.exists():
        return 0
    with hold_lock(layout, lambda: progress.say("another command works on this rehearsal: waiting for it to end")):
        return stop_all(layout)


def delete_data(layout: Layout, progress: Progress) -> None:
    """End every process and delete the rehearsal's state; the cache stays.

    Raises:
        RehearsalError: the folder does not look like a rehearsal's, so it is left alone.

    """
    if not layout.root.exists():
        return
    if any(layout.root.iterdir()) and not (layout.state_file.exists() or layout.lock_file.exists()):
        raise RehearsalError(f"{layout.root} holds something else than a rehearsal: nothing was deleted")
    with hold_lock(layout, lambda: progress.say("another command works on this rehearsal: waiting for it to end")):
        stop_all(layout)
        shutil.rmtree(layout.root)
