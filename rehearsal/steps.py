"""The ordered steps of `up`, each of which may be repeated: it does what is missing and heals what broke.

A server that was killed is started again; an emulator that lost its account is seeded anew; the deploys first read what
really exists, so what got lost is made again. `down` and `reset` are here too. Each step is another module's work.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from rehearsal import aws, bao, openid, postgres, stack
from rehearsal.engine import ensure_aws_secrets_engine, ensure_engine
from rehearsal.environments import account
from rehearsal.errors import RehearsalError
from rehearsal.processes import find_all, stop, stop_named
from rehearsal.state import hold_lock, make_folder, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.layout import EnvironmentLayout, Layout
    from rehearsal.progress import Progress, StepLine

# Vault first: its plugin still talks to AWS and PostgreSQL when it ends.
STOP_ORDER = (bao.NAME, aws.NAME, postgres.NAME, openid.NAME)


@dataclass(slots=True)
class Run:
    """One run of `up`: what earlier steps found and later ones need."""

    layout: Layout
    engine: Path | None = None
    vault_plugin: Path | None = None
    new_broker_keys: set[str] = field(default_factory=set)
    empty_accounts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its `name`, and `work`, which sets the line's note to what it did.

    Steps of one `lane` run in order, lanes side by side; steps without one run before all lanes.
    """

    name: str
    work: Callable[[Run, StepLine], None]
    lane: str | None = None


class StepError(RehearsalError):
    """A step of `up` failed; the cause is chained."""

    code = "rehearsal-step-failed"


def find_pulumi(run: Run, line: StepLine) -> None:
    """Get the Pulumi engine."""
    program = ensure_engine(line.report, cache=run.layout.cache)
    run.engine = program.path
    stack.link_clients(run.layout, program.path)
    line.note = f"v{program.version}, {program.path}"


def find_vault_plugin(run: Run, line: StepLine) -> None:
    """Get Vault's AWS secrets engine."""
    program = ensure_aws_secrets_engine(line.report, cache=run.layout.cache)
    run.vault_plugin = program.path
    line.note = f"v{program.version}, built from the Go module proxy (BUSL 1.1, for this machine only)"


def run_aws(run: Run, line: StepLine) -> None:
    """Start the emulated AWS."""
    started = aws.start_aws(run.layout)
    line.note = f"{aws.get_endpoint(run.layout)} {_say_started(started=started)}"


def seed_account(layout: EnvironmentLayout, run: Run, line: StepLine) -> None:
    """Seed what is missing in the environment's AWS account."""
    seeding = aws.seed(layout)
    if seeding.broker_changed:
        run.new_broker_keys.add(layout.environment)
    if seeding.empty:
        run.empty_accounts.add(layout.environment)
    line.note = f"{account(layout)}, {'seeded' if seeding.empty else 'its data is there'}"


def run_postgres(layout: EnvironmentLayout, _: Run, line: StepLine) -> None:
    """Start PostgreSQL, and seed it."""
    started = postgres.start_postgres(layout)
    line.note = f"{postgres.get_address(layout)} {_say_started(started=started)}"


def run_bao(layout: EnvironmentLayout, run: Run, line: StepLine) -> None:
    """Start OpenBao, set it up, and let its AWS plugin read the broker's key."""
    if run.vault_plugin is None:
        raise RehearsalError("the AWS secrets engine was not found before OpenBao started")
    started = bao.start_bao(layout)
    fresh = bao.set_up(layout, run.vault_plugin)
    if layout.environment in run.new_broker_keys:
        bao.reload_aws_plugin(bao.open_client(layout, bao.log_in_operator(layout)))
    found = "initialised, root token revoked" if fresh else "unsealed"
    line.note = f"{bao.get_address(layout)} {_say_started(started=started)}, {found}"


def run_provider(layout: EnvironmentLayout, _: Run, line: StepLine) -> None:
    """Start the identity provider's login for browsers; Vault takes its keys from there when it is deployed."""
    started = openid.start_provider(layout)
    line.note = f"{openid.get_address(layout)} {_say_started(started=started)}"


def _say_started(*, started: bool) -> str:
    return "started" if started else "runs"


def write_project(layout: EnvironmentLayout, _: Run, line: StepLine) -> None:
    """Write the engine's home, state backend and passphrase, and the Pulumi project for this machine."""
    stack.prepare_engine(layout)
    stack.write_project(layout)
    line.note = str(layout.project)


def deploy_foundation(layout: EnvironmentLayout, _: Run, line: StepLine) -> None:
    """Deploy the environment's foundation."""
    line.note = stack.deploy(layout, layout.foundation_stack).summary


def deploy_workflows(layout: EnvironmentLayout, run: Run, line: StepLine) -> None:
    """Deploy the environment's workflows, and write their manifests.

    What an account lost, an administrator makes anew: IAM knows no path of a role that is gone, so CI's deployer, which
    may read roles below its path only, is refused the question whether it is there.
    """
    summary = stack.deploy(layout, layout.stack, as_administrator=layout.environment in run.empty_accounts).summary
    workflows = stack.write_manifests(layout)
    line.note = f"{summary}; {len(workflows)} workflows"


EnvironmentWork = Callable[["EnvironmentLayout", Run, "StepLine"], None]
SERVER_WORKS: Sequence[tuple[str, EnvironmentWork]] = (
    ("AWS account", seed_account),
    ("PostgreSQL", run_postgres),
    ("identity provider", run_provider),
    ("OpenBao", run_bao),
)
DEPLOY_WORKS: Sequence[tuple[str, EnvironmentWork]] = (
    ("Pulumi project", write_project),
    ("deploy foundation", deploy_foundation),
    ("deploy workflows", deploy_workflows),
)


def list_server_steps(environments: Sequence[EnvironmentLayout]) -> list[Step]:
    """Return the steps that start the servers of `environments` and deploy nothing."""
    shared = [Step("Vault's AWS plugin", find_vault_plugin), Step("AWS (emulated)", run_aws)]
    return [*shared, *_for_each(environments, SERVER_WORKS)]


def list_steps(environments: Sequence[EnvironmentLayout]) -> list[Step]:
    """Return the steps that start `environments` and deploy them."""
    engine = Step("Pulumi engine", find_pulumi)
    return [engine, *list_server_steps(environments), *_for_each(environments, DEPLOY_WORKS)]


def _for_each(environments: Sequence[EnvironmentLayout], works: Sequence[tuple[str, EnvironmentWork]]) -> list[Step]:
    return [
        Step(f"{layout.environment}: {name}", partial(work, layout), lane=layout.environment)
        for layout in environments
        for name, work in works
    ]


def run_steps(layout: Layout, progress: Progress, steps: Sequence[Step]) -> None:
    """Run `steps`, environments side by side, one command at a time for each rehearsal.

    Raises:
        StepError: a step failed; the error names it, the reason and the log. Other lanes went on to their end.

    """
    with hold_lock(layout, lambda: progress.say("another command works on this rehearsal: waiting for it to end")):
        make_folder(layout.logs)
        run = Run(layout)
        lanes: dict[str | None, list[tuple[str, Step]]] = {}
        for number, step in enumerate(steps, start=1):
            lanes.setdefault(step.lane, []).append((f"step {number} of {len(steps)}", step))
        _run_lane(run, progress, lanes.pop(None, []))
        if not lanes:
            return
        with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
            futures = [pool.submit(_run_lane, run, progress, lane) for lane in lanes.values()]
        failed = [error for future in futures if (error := future.exception()) is not None]
        if failed:
            raise failed[0]


def _run_lane(run: Run, progress: Progress, lane: Sequence[tuple[str, Step]]) -> None:
    for number, step in lane:
        with progress.step(step.name) as line:
            try:
                step.work(run, line)
            except RehearsalError as error:
                where = f"{number}, {step.name}, failed after {line.seconds:.1f} s"
                raise StepError(f"{where}: {error}", hint=error.hint, log=error.log) from error


def stop_all(layout: Layout) -> int:
    """End every process of this rehearsal, orphans too, keep its data, and return how many there were."""
    remembered = read_state(layout).processes
    order = [name for server in STOP_ORDER for name in remembered if name == server or name.endswith(f"-{server}")]
    count = sum(stop_named(layout, name) for name in order)
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
        _forget_unreadable(layout)
        stop_all(layout)
        shutil.rmtree(layout.root)


def _forget_unreadable(layout: Layout) -> None:
    """Drop a state that is damaged or of another version: processes are found by their marker too."""
    try:
        read_state(layout)
    except RehearsalError:
        layout.state_file.unlink()
