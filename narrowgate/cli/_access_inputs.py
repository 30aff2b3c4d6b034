"""What the verbs of `narrowgate access` read: the stacks folder, plans, locks (also of a git commit), policy files.

Whatever cannot be read is an `UnreadableInputError`, so that its exit code never says "new access". This module must
not print and must not decide access.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrowgate.access import iam, vault
from narrowgate.access.enforcement import load_lock
from narrowgate.access.lock import AccessLock, lock_file, lock_of, read_lock
from narrowgate.declarations import find_environments, load_environment, read_declarations
from narrowgate.declarations.errors import suggest
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narrowgate.plan import AccessPlan

ALL = "all"


class UnreadableInputError(NarrowgateError):
    """Something that a command needs cannot be read; never an answer about access."""

    code = "unreadable-input"
    exit_code = 2

    @classmethod
    def of(cls, error: NarrowgateError) -> UnreadableInputError:
        """Return `error` as one of this kind, with its own code and hint."""
        wrapped = cls(str(error), hint=error.hint)
        wrapped.code = error.code
        return wrapped


@contextmanager
def reading() -> Iterator[None]:
    """Turn every expected error inside into an `UnreadableInputError`."""
    try:
        yield
    except UnreadableInputError:
        raise
    except NarrowgateError as error:
        raise UnreadableInputError.of(error) from error


def find_stacks(given: Path | None) -> Path:
    """Return the stacks folder: the one given, or `stacks/` here or in the nearest folder above."""
    if given is not None:
        if not given.is_dir():
            raise UnreadableInputError(f"there is no folder {given}")
        return given
    here = Path.cwd()
    for folder in (here, *here.parents):
        for candidate in (folder / "stacks", folder):
            if (candidate / "workflows").is_dir() and (candidate / "tools").is_dir():
                return candidate
    raise UnreadableInputError(
        "there is no stacks folder here or above", hint="run it in a checkout, or name the folder with --stacks"
    )


def load_plans(stacks: Path, environment: str | None) -> tuple[AccessPlan, ...]:
    """Return the plan of `environment`, of every one (`all`), or of the only one there is (None)."""
    with reading():
        known = find_environments(stacks)
        if environment == ALL:
            chosen = known
        elif environment is not None:
            if environment not in known:
                raise UnreadableInputError(f"no environment `{environment}`", hint=suggest(environment, known))
            chosen = [environment]
        elif len(known) == 1:
            chosen = known
        else:
            raise UnreadableInputError("which environment?", hint=f"give --env: {', '.join(known) or 'there is none'}")
        if not chosen:
            raise UnreadableInputError(f"no Pulumi.<environment>.yaml in {stacks} holds an environment's bindings")
        declarations = read_declarations(stacks)
        return tuple(declarations.plan(load_environment(stacks, name)) for name in chosen)


def load_plan_of(stacks: Path, environment: str | None) -> AccessPlan:
    """Return one plan."""
    if environment == ALL:
        raise UnreadableInputError("this question is about one environment", hint="name it with --env")
    (plan,) = load_plans(stacks, environment)
    return plan


def load_old(plan: AccessPlan, stacks: Path, base: str | None, lock: Path | None) -> AccessLock:
    """Return the lock to compare with: the committed one, the one at git ref `base`, or `lock` (a file or a folder)."""
    with reading():
        if base is not None:
            return load_base(plan, stacks, base)
        name = plan.environment.name
        if lock is not None and lock.is_dir():
            path = lock / f"{name}.yaml"
            return load_lock(path, plan, environment=name) if path.exists() else empty_lock(plan)
        return load_lock(lock or lock_file(stacks, name), plan, environment=name)


def empty_lock(plan: AccessPlan) -> AccessLock:
    """Return the lock of a new environment: no workflow, so that everything is new access."""
    return replace(lock_of(plan), workflows=(), exceptions=())


def load_base(plan: AccessPlan, stacks: Path, ref: str) -> AccessLock:
    """Return the lock at git ref `ref`. Where that has none, the environment is new: a lock without any workflow."""
    commit = _git(stacks, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    if not commit:
        raise UnreadableInputError(f"git knows no commit `{ref}`", hint="fetch it first: git fetch origin")
    name = plan.environment.name
    path = lock_file(Path(), name)
    if not _git(stacks, "ls-tree", "--name-only", commit, f"./{path}").strip():
        return empty_lock(plan)
    text = _git(stacks, "cat-file", "blob", f"{commit}:./{path}")
    return read_lock(text, path=Path(f"{ref}:{path}"), environment=name)


def _git(folder: Path, *arguments: str) -> str:
    """Return what git prints; an empty text where it finds nothing. Nothing given becomes an option or shell text."""
    command = ["git", "--no-pager", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603 - an argument list
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnreadableInputError(f"git cannot be run: {error}") from error
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()
        if reason:
            raise UnreadableInputError(f"git: {reason}")
        return ""
    try:
        return done.stdout.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableInputError("what git holds there is not UTF-8") from error


# Policy files ---------------------------------------------------------------------------------------------------------


def read_text(path: Path) -> str:
    """Return the text of a file."""
    try:
        return path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}") from error


def kind_of(path: Path) -> str:
    """Return which kind of statement about access a file holds: `lock`, `vault` or `iam`."""
    if path.suffix in {".yaml", ".yml"}:
        return "lock"
    if path.suffix == ".hcl":
        return "vault"
    if path.suffix == ".json":
        value = read_json(path)
        return "vault" if isinstance(value, dict) and "path" in value else "iam"
    raise UnreadableInputError(f"{path} is no kind of file that is known here", hint="give .json, .hcl or .yaml")


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON file's value."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise UnreadableInputError(f"{path} is not JSON: {error}") from error


def read_iam(paths: Sequence[Path]) -> list[iam.Policy]:
    """Return the IAM policies of files, each of which holds one document or a list of them."""
    policies: list[iam.Policy] = []
    for path in paths:
        value = read_json(path)
        with reading():
            policies += [iam.parse(document) for document in (value if isinstance(value, list) else [value])]
    return policies


def read_vault(paths: Sequence[Path]) -> list[vault.Policy]:
    """Return the Vault policies of files; a policy is named as its file is."""
    with reading():
        return [vault.parse(read_text(path), path.stem) for path in paths]


def read_lock_file(path: Path) -> AccessLock:
    """Return the lock in a file."""
    with reading():
        return load_lock(path)


def read_pairs(pairs: Sequence[str], option: str) -> dict[str, str | list[str]]:
    """Return `key=value` arguments; a key that stands several times has a list of values."""
    values: dict[str, list[str]] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise UnreadableInputError(f"`{pair}` is not key=value", hint=f"write {option} key=value")
        values.setdefault(key, []).append(value)
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}
