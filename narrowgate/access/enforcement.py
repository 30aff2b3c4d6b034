"""The gate before a deploy: a plan must be within the committed lock, by meaning and not by text.

`require_within_lock` is what the Pulumi program and the policy pack call. It fails closed: a lock that is missing,
unreadable, another environment's, or that cannot be compared refuses the deploy. This module must not print.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from narrowgate.access.diff import Kind, compare_plans
from narrowgate.access.lock import LockError, read_lock
from narrowgate.access.lock.write import write_workflow

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.access.diff import Change, PlanComparison
    from narrowgate.access.lock import AccessLock
    from narrowgate.plan import AccessPlan

MAX_SHOWN: Final = 20


class Severity(StrEnum):
    """What a problem does to a deploy: an error refuses it, a warning is only said."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class LockProblem:
    """Why a plan is not exactly what its lock states, in words, and what to do about it."""

    severity: Severity
    message: str
    hint: str

    def __str__(self) -> str:
        """Return the message and, below it, the hint."""
        return f"{self.message}\n    {self.hint}"


class NotWithinLockError(LockError):
    """A deploy that is refused: its plan is not within the committed lock."""

    code = "not-within-lock"


def load_lock(path: Path, plan: AccessPlan | None = None, *, environment: str | None = None) -> AccessLock:
    """Read the lock at `path`; raise `LockError` where there is none or it is wrong.

    Workflows that stand in the lock exactly as in `plan` are not read again, which is most of them.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        name = environment or path.stem
        hint = f"write it, and have it reviewed: {update_command(name)}"
        raise LockError(f"there is no access lock at {path}", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"the access lock at {path} cannot be read: {error}") from error
    known = {write_workflow(workflow): workflow for workflow in plan.workflows} if plan is not None else None
    return read_lock(text, path=path, environment=environment, known=known)


def update_command(environment: str) -> str:
    """Return the one command that brings the lock of `environment` up to date."""
    return f"narrowgate access lock --env {environment}"


def require_within_lock(plan: AccessPlan, lock_path: Path) -> list[LockProblem]:
    """Return what stands against a deploy of `plan` under the lock at `lock_path`; nothing where it is within it.

    An error for each access that the plan has and the lock has not (or that could not be decided), with the command
    that updates the lock. One warning where the lock states access that the plan no longer has.
    """
    environment = plan.environment.name
    try:
        comparison = compare_plans(load_lock(lock_path, plan, environment=environment), plan)
    except LockError as error:
        hint = error.hint or f"write it anew, and have it reviewed: {update_command(environment)}"
        return [LockProblem(Severity.ERROR, str(error), hint)]
    return list_problems(comparison, environment)


def list_problems(comparison: PlanComparison, environment: str) -> list[LockProblem]:
    """Return the problems of a plan that was compared with its lock."""
    hint = f"if it is meant, bring the lock up to date and have it reviewed: {update_command(environment)}"
    problems = [LockProblem(Severity.ERROR, _say_gain(gain), hint) for gain in comparison.gains[:MAX_SHOWN]]
    if (more := len(comparison.gains) - MAX_SHOWN) and more > 0:
        problems.append(LockProblem(Severity.ERROR, f"{more} more accesses are not in the lock", hint))
    if comparison.losses:
        count = len(comparison.losses)
        first = comparison.losses[0]
        text = f"the lock states more than the plan grants ({count} times), first: {_subject(first)}: {first.words}"
        problems.append(
            LockProblem(Severity.WARNING, text, f"bring the lock up to date: {update_command(environment)}")
        )
    return problems


def _subject(change: Change) -> str:
    return ": ".join(part for part in (change.workflow, change.where) if part) or "the environment"


def _say_gain(change: Change) -> str:
    verdict = "is not within the lock" if change.kind is Kind.GAIN else "could not be proven to be within the lock"
    example = f" (for example: {change.witness})" if change.witness else ""
    return f"{_subject(change)} {verdict}: {change.words}{example}"


def enforce_lock(plan: AccessPlan, lock_path: Path) -> list[str]:
    """Raise `NotWithinLockError`, with all of them, where anything refuses the deploy; return warnings otherwise."""
    problems = require_within_lock(plan, lock_path)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        said = [*(problem.message for problem in errors), errors[0].hint]
        raise NotWithinLockError("\n".join(said), hint=errors[0].hint)
    return [str(problem) for problem in problems]
