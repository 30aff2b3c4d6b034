"""`narrowgate access`: what may which workflow do, and what would a change grant? Prints; the library decides.

Exit codes of `diff` and `compare`: 0 no new access (proven), 1 new access, 3 not decided, 2 something cannot be read.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from narrowgate.access.render import Format
from narrowgate.cli import _access_audit as audit
from narrowgate.cli._access_drift import drift

if TYPE_CHECKING:
    from narrowgate.access.diff import PlanComparison
    from narrowgate.plan import AccessPlan

EXIT_CODES: Final = {True: 0, False: 1, None: 3}
NOT_ALLOWED: Final = 1

app = typer.Typer(no_args_is_help=True, help="What may which workflow do, and what would a change grant?")

Stacks = Annotated[
    Path | None,
    typer.Option("--stacks", help="The folder of declarations and locks. By default stacks/, here or above."),
]
One = Annotated[
    str | None, typer.Option("--env", "-e", help="The environment. May be left out where there is only one.")
]
Some = Annotated[str, typer.Option("--env", "-e", help="The environment, or `all`.")]
Output = Annotated[Format, typer.Option("--format", "-f", help="How to show it.")]


def _epilog(*examples: str) -> str:
    """Return examples for a command's help, one a line."""
    return "Examples:\n\n" + "\n\n".join(examples)


@app.command(
    epilog=_epilog(
        "narrowgate access diff --env dev",
        "narrowgate access diff --env prod --base origin/main --format markdown",
    )
)
def diff(
    env: Some,
    base: Annotated[
        str | None,
        typer.Option("--base", help="Compare with the lock at this git ref."),
    ] = None,
    lock: Annotated[
        Path | None, typer.Option("--lock", help="Compare with this lock, or with the locks in this folder.")
    ] = None,
    output: Output = Format.TEXT,
    stacks: Stacks = None,
) -> None:
    """Say what the declarations grant and take away, compared with the committed lock.

    Exit 0: no new access. 1: new access. 3: not decided. 2: something cannot be read.
    """
    from narrowgate.access.diff import compare_plans
    from narrowgate.access.render import describe_comparison, render_comparison, write_json
    from narrowgate.cli._access_inputs import ALL, UnreadableInputError, find_stacks, load_old, load_plans

    if base is not None and lock is not None:
        raise UnreadableInputError("--base and --lock exclude each other")
    folder = find_stacks(stacks)
    plans = load_plans(folder, env)
    comparisons = [compare_plans(load_old(plan, folder, base, lock), plan) for plan in plans]
    if output is Format.JSON and env == ALL:
        typer.echo(write_json({"version": 1, "environments": [describe_comparison(c) for c in comparisons]}), nl=False)
    else:
        for comparison in comparisons:
            if output is Format.TEXT and len(comparisons) > 1:
                typer.echo(f"== {comparison.new}")
            typer.echo(render_comparison(comparison, output), nl=False)
    raise typer.Exit(_exit_code(comparisons))


def _exit_code(comparisons: list[PlanComparison]) -> int:
    answers = {comparison.no_new_access for comparison in comparisons}
    return EXIT_CODES[False if False in answers else None if None in answers else True]


@app.command(epilog=_epilog("narrowgate access lock --env dev", "narrowgate access lock --env all --check"))
def lock(
    env: Some,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a lock is not up to date.")
    ] = False,
    stacks: Stacks = None,
) -> None:
    """Write the access lock: all access that the declarations grant, for review and for the deploy to be held to."""
    from narrowgate.cli._access_inputs import find_stacks, load_plans

    folder = find_stacks(stacks)
    stale = [plan for plan in load_plans(folder, env) if not _update_lock(plan, folder, write=not check)]
    if stale:
        raise typer.Exit(1)


def _update_lock(plan: AccessPlan, folder: Path, *, write: bool) -> bool:
    """Return whether the lock is up to date, having written it if `write`; say what that changes."""
    from narrowgate.access.diff import compare_plans
    from narrowgate.access.enforcement import load_lock, update_command
    from narrowgate.access.lock import LockError, lock_file, lock_of, read_lock, write_lock
    from narrowgate.access.render import render_comparison
    from narrowgate.cli._access_inputs import reading

    name = plan.environment.name
    path = lock_file(folder, name)
    with reading():
        text = write_lock(plan)
    if path.is_file() and path.read_bytes() == text.encode():
        typer.echo(f"{path} is up to date: {len(plan.workflows)} workflows")
        return True
    try:
        old = load_lock(path, plan, environment=name)
    except LockError as error:
        typer.echo(str(error), err=not write)
    else:
        typer.echo(render_comparison(compare_plans(old, plan), Format.TEXT), nl=False)
    if not write:
        typer.echo(f"{path} is not up to date. Write it, and have it reviewed: {update_command(name)}", err=True)
        return False
    with reading():
        if repr(read_lock(text, path=path, environment=name)) != repr(lock_of(plan)):
            raise LockError(f"{path}: what would be written does not read back as the same access; nothing is written")
    _write_whole(path, text)
    typer.echo(f"{path} is written: {len(plan.workflows)} workflows. Commit it, and have it reviewed.")
    return True


def _write_whole(path: Path, text: str) -> None:
    """Write all of the file or nothing: a reader never sees half a lock."""
    from narrowgate.cli._access_inputs import UnreadableInputError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(text.encode())
        Path(file.name).chmod(0o644)
        Path(file.name).replace(path)
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be written: {error}") from error


@app.command(epilog=_epilog("narrowgate access show --env dev", "narrowgate access show ticket-drafting --format json"))
def show(
    workflow: Annotated[str | None, typer.Argument(help="A workflow; without it, all are listed.")] = None,
    env: One = None,
    output: Output = Format.TEXT,
    stacks: Stacks = None,
) -> None:
    """List the workflows of an environment, or one workflow's tools, actions and grants."""
    from narrowgate.access.explain import find_workflow
    from narrowgate.access.show import render_workflow, render_workflows
    from narrowgate.cli._access_inputs import find_stacks, load_plan_of, reading

    plan = load_plan_of(find_stacks(stacks), env)
    with reading():
        chosen = None if workflow is None else find_workflow(plan, workflow)
    typer.echo(render_workflows(plan, output) if chosen is None else render_workflow(plan, chosen, output), nl=False)


@app.command("explain", epilog=_epilog("narrowgate access explain vendor-onboarding --env dev"))
def explain(
    workflow: Annotated[str, typer.Argument(help="The workflow.")],
    env: One = None,
    output: Output = Format.TEXT,
    stacks: Stacks = None,
) -> None:
    """Say in plain words what one workflow may do, for whom, for how long, and what needs an approval."""
    from narrowgate.access.explain import explain_workflow
    from narrowgate.access.render import render_lines, write_json
    from narrowgate.cli._access_inputs import find_stacks, load_plan_of, reading

    plan = load_plan_of(find_stacks(stacks), env)
    with reading():
        lines = explain_workflow(plan, workflow)
    if output is Format.JSON:
        typer.echo(write_json({"version": 1, "workflow": workflow, "lines": list(lines)}), nl=False)
    else:
        typer.echo(render_lines(lines), nl=False)


@app.command(
    "who-can",
    epilog=_epilog(
        "narrowgate access who-can s3:GetObject arn:aws:s3:::acme-dev-documents/runbooks/disk-full.md",
        "narrowgate access who-can read 'narrowgate-aws/sts/*'",
        "narrowgate access who-can select tickets.body",
    ),
)
def who_can(
    action: Annotated[str, typer.Argument(help="An IAM action, a Vault capability, or a SQL privilege.")],
    resource: Annotated[str, typer.Argument(help="An ARN, a Vault path, or table.column; * matches any text.")],
    env: One = None,
    output: Output = Format.TEXT,
    stacks: Stacks = None,
) -> None:
    """Say which workflows can do this, through which tool, gated or not, for how long. Exit 0 also for nobody."""
    from narrowgate.access.query import read_question
    from narrowgate.access.query import who_can as find_holders
    from narrowgate.access.render import render_holders
    from narrowgate.cli._access_inputs import find_stacks, load_plan_of, reading

    with reading():
        question = read_question(action, resource)
    plan = load_plan_of(find_stacks(stacks), env)
    with reading():
        typer.echo(render_holders(find_holders(plan, question), output), nl=False)


@app.command(
    epilog=_epilog(
        "narrowgate access compare old-policy.json new-policy.json",
        "narrowgate access compare old.hcl new.hcl --format json",
        "narrowgate access compare /tmp/base-lock.yaml stacks/locks/dev.yaml",
    )
)
def compare(
    old: Annotated[Path, typer.Argument(help="An IAM policy (.json), a Vault policy (.hcl, .json) or a lock (.yaml).")],
    new: Annotated[Path, typer.Argument(help="The same kind of file.")],
    output: Output = Format.TEXT,
) -> None:
    """Prove that NEW allows nothing that OLD does not, or show a request that it allows.

    Exit 0: no new access. 1: new access. 3: not decided. 2: something cannot be read.
    """
    from narrowgate.cli._access_policies import compare_files

    text, answer = compare_files(old, new, output)
    typer.echo(text, nl=False)
    raise typer.Exit(EXIT_CODES[answer])


@app.command(
    epilog=_epilog(
        "narrowgate access evaluate s3:GetObject arn:aws:s3:::acme/x --policy role.json --boundary boundary.json",
        "narrowgate access evaluate s3:ListBucket arn:aws:s3:::acme --policy role.json --context s3:prefix=runbooks/a",
        "narrowgate access evaluate read narrowgate-aws/sts/x --policy agent.hcl --policy tool.hcl",
    )
)
def evaluate(  # noqa: PLR0913, PLR0917 - each is an option of its own
    action: Annotated[str, typer.Argument(help="An IAM action or a Vault capability.")],
    resource: Annotated[str, typer.Argument(help="An ARN or a Vault path.")],
    policy: Annotated[list[Path], typer.Option("--policy", "-p", help="A policy file; several add up.")],
    boundary: Annotated[list[Path] | None, typer.Option("--boundary", help="A permissions boundary (IAM).")] = None,
    context: Annotated[list[str] | None, typer.Option("--context", "-c", help="A context key=value (IAM).")] = None,
    principal: Annotated[str | None, typer.Option("--principal", help="Who asks: an ARN (IAM).")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", help="A parameter key=value (Vault).")] = None,
    output: Output = Format.TEXT,
) -> None:
    """Decide one request by policy files, as AWS or Vault would. Exit 0: allowed. 1: not allowed. 2: unreadable."""
    from narrowgate.cli._access_policies import Asked, evaluate_files

    asked = Asked(action, resource, tuple(context or ()), principal, tuple(parameter or ()))
    text, allowed = evaluate_files(asked, policy, boundary or [], output)
    typer.echo(text, nl=False)
    raise typer.Exit(0 if allowed else NOT_ALLOWED)


app.command(
    "review",
    epilog=_epilog(
        "narrowgate access review --env dev",
        "narrowgate access review -e prod -l ledgers/ --cloudtrail trail/ --format csv > review.csv",
    ),
)(audit.review)
app.command(
    "drift", epilog=_epilog("narrowgate access drift --env prod", "narrowgate access drift -e prod --format json")
)(drift)
