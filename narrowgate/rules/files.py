"""Policy files as facts: what `narrowgate lint` judges.

A file holds one identity policy, one trust policy, a JSON list of the identity policies of one role (judged together),
or one Vault policy in HCL or JSON. What it is follows from its content; only HCL is told by not being JSON. This
module reads text; it must not judge.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from narrowgate.access.iam import PolicyError
from narrowgate.access.vault import VaultPolicyError
from narrowgate.access.vault import parse as parse_vault_policy
from narrowgate.errors import NarrowgateError
from narrowgate.rules.facts import Fact, IamPolicy, IamTrust, VaultPolicy
from narrowgate.rules.json_lines import statement_lines
from narrowgate.rules.questions import read_policy

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES: Final = (".json", ".hcl")
"""The files that are judged where a folder is given."""

LARGEST: Final = 16 << 20
"""Bytes that a file may have: thousands of times what any server takes."""

_WRAPPERS: Final = ("PolicyVersion", "Document", "PolicyDocument", "AssumeRolePolicyDocument")
"""Keys under which AWS's own tools print a policy document."""


class UnreadableFileError(NarrowgateError):
    """A file can't be read as a policy; the message names it and says why."""

    code = "lint-unreadable"
    hint = "give an IAM policy, a trust policy, a JSON list of one role's policies, or a Vault policy"


def find_files(path: Path) -> list[Path]:
    """Return the files to judge: `path` itself, or every policy file below it, sorted.

    Raises UnreadableFileError where there is nothing at `path`: neither a file, nor a policy file below it.
    """
    if path.is_dir():
        found = sorted(found for suffix in SUFFIXES for found in path.rglob(f"*{suffix}") if not found.is_dir())
        if not found:
            raise UnreadableFileError(f"{path}: no file below it ends in {' or '.join(SUFFIXES)}")
        # What waits for a writer, or never ends, is named by somebody who means it or not at all.
        if odd := next((each for each in found if each.exists() and not each.is_file()), None):
            raise UnreadableFileError(f"{odd}: it is no regular file")
        return found
    if not path.exists():
        raise UnreadableFileError(f"{path}: there is no such file")
    return [path]


def read_file(path: Path) -> list[Fact]:
    """Return what the file says.

    Raises UnreadableFileError where it can't be read, is not UTF-8, or is no policy that the server would accept.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise UnreadableFileError(f"{path}: it is larger than {LARGEST >> 20} MiB, which no policy is")
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UnreadableFileError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"{path}: it is not UTF-8 text (byte {error.start})") from error
    return read_text(text, str(path), path.stem, hcl=path.suffix == ".hcl")


def read_text(text: str, at: str, name: str, *, hcl: bool = False) -> list[Fact]:
    """Return what a policy's text says; `at` is where it stands, `name` what to call it.

    Raises UnreadableFileError.
    """
    if not text.strip():
        raise UnreadableFileError(f"{at}: it is empty")
    if hcl and not text.lstrip().startswith("{"):
        return _read_vault(text, at, name)
    try:
        content = json.loads(text, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        if text.lstrip()[:1] in "{[":
            raise UnreadableFileError(f"{at}: it is no JSON: {why}") from error
        return _read_vault(text, at, name)
    if content in ([], None):
        raise UnreadableFileError(f"{at}: it holds no policy")
    if isinstance(content, list):
        return [_read_identity(document, at, f"{name}[{index}]", text, index) for index, document in enumerate(content)]
    if not isinstance(content, dict):
        raise UnreadableFileError(f"{at}: it holds no policy")
    if "path" in content and "Statement" not in content:
        return _read_vault(text, at, name)
    return [_read_iam(_unwrap(content), at, name, text)]


def _read_vault(text: str, at: str, name: str) -> list[Fact]:
    try:
        parse_vault_policy(text, name=name)
    except VaultPolicyError as error:
        raise UnreadableFileError(f"{at}: {error}", hint=error.hint) from error
    return [VaultPolicy(at=at, name=name, text=text)]


def _read_iam(document: dict[str, Any], at: str, name: str, text: str) -> Fact:
    statements = document.get("Statement", [])
    if isinstance(statements, dict):
        statements = [statements]
    if isinstance(statements, list) and any(
        isinstance(statement, dict) and {"Principal", "NotPrincipal"} & statement.keys() for statement in statements
    ):
        policy = _check(document, at)
        return IamTrust(at=at, document=policy, statement_lines=statement_lines(text, 0))
    return _read_identity(document, at, name, text, None)


def _read_identity(document: object, at: str, name: str, text: str, index: int | None) -> IamPolicy:
    if not isinstance(document, dict):
        raise UnreadableFileError(f"{at}: {name} is no policy document")
    document = _unwrap(document)
    if index is not None and any(
        isinstance(one, dict) and "Principal" in one for one in _as_list(document.get("Statement"))
    ):
        raise UnreadableFileError(f"{at}: {name} is a trust policy; a list holds the identity policies of one role")
    return IamPolicy(
        at=at,
        kind="identity" if index is None else "role",
        holder=name if index is None else at,
        name=name,
        document=_check(document, at),
        statement_lines=statement_lines(text, index or 0),
    )


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; a key that stands twice means one thing to one reader and another to the next."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _check(document: dict[str, Any], at: str) -> str:
    policy = json.dumps(document)
    parsed = read_policy(policy)
    if isinstance(parsed, PolicyError):
        raise UnreadableFileError(f"{at}: {parsed}", hint=parsed.hint)
    return policy


def _unwrap(document: dict[str, Any]) -> dict[str, Any]:
    for key in _WRAPPERS:
        inner = document.get(key)
        if isinstance(inner, dict) and "Statement" not in document:
            return _unwrap(inner)
    return document
