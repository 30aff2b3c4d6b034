"""The verbs of `narrowgate access` that look at policy files and nothing else. This module must not decide access."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from narrowgate.access import iam, vault
from narrowgate.access.diff import compare_plans
from narrowgate.access.diff.iam_cover import say_request
from narrowgate.access.render import JSON_VERSION, Format, plain, render_comparison, write_json
from narrowgate.cli._access_inputs import (
    UnreadableInputError,
    kind_of,
    read_iam,
    read_lock_file,
    read_pairs,
    read_vault,
    reading,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_VERDICTS = {
    True: "No new access: proven.",
    False: "New access.",
    None: "Not decided, so it counts as new access.",
}


def compare_files(old: Path, new: Path, output: Format) -> tuple[str, bool | None]:
    """Return what is shown, and whether there is no new access: True (proven), False or None (not decided)."""
    kind = kind_of(old)
    if kind_of(new) != kind:
        raise UnreadableInputError(f"{old} and {new} are not of one kind", hint="give two files of the same kind")
    if kind == "lock":
        comparison = compare_plans(read_lock_file(old), read_lock_file(new))
        return render_comparison(comparison, output), comparison.no_new_access
    proof = _compare_iam(old, new) if kind == "iam" else _compare_vault(old, new)
    return _render_proof(kind, proof, output), proof.no_new_access


@dataclass(frozen=True, slots=True)
class _Proof:
    """A comparison in words: `witness` is a request that only the new side allows, `reason` why nobody can tell."""

    no_new_access: bool | None
    witness: str | None
    reason: str | None


def _compare_iam(old: Path, new: Path) -> _Proof:
    before, after = read_iam([old]), read_iam([new])
    with reading():
        found = iam.compare(before, after)
    return _Proof(found.no_new_access, None if found.witness is None else say_request(found.witness), found.reason)


def _compare_vault(old: Path, new: Path) -> _Proof:
    before, after = read_vault([old]), read_vault([new])
    with reading():
        found = vault.compare(before, after)
    return _Proof(found.no_new_access, None if found.witness is None else str(found.witness), found.reason)


def _render_proof(kind: str, proof: _Proof, output: Format) -> str:
    if output is Format.JSON:
        return write_json({"version": JSON_VERSION, "kind": kind, **asdict(proof)})
    lines = [_VERDICTS[proof.no_new_access]]
    if proof.witness:
        lines.append(f"  for example: {plain(proof.witness)}")
    if proof.reason:
        lines.append(f"  because: {plain(proof.reason)}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `context` and `parameters` are key=value, as they stand on the command line."""

    action: str
    resource: str
    context: tuple[str, ...]
    principal: str | None
    parameters: tuple[str, ...]


def evaluate_files(
    asked: Asked, policies: Sequence[Path], boundaries: Sequence[Path], output: Format
) -> tuple[str, bool]:
    """Return what is shown, and whether the policy files allow the request."""
    kinds = {kind_of(path) for path in (*policies, *boundaries)}
    if kinds == {"iam"}:
        decided = _evaluate_iam(asked, policies, boundaries)
    elif kinds == {"vault"}:
        decided = _evaluate_vault(asked, policies)
    else:
        raise UnreadableInputError("the policy files are not of one kind", hint="give IAM's, or give Vault's")
    if output is Format.JSON:
        return write_json({"version": JSON_VERSION, **decided}), decided["allowed"]
    answer = "Allowed" if decided["allowed"] else f"Not allowed ({decided['reason']})"
    lines = [f"{answer}: {plain(asked.action)} on {plain(asked.resource)}"]
    lines += [f"  {label}: {plain(decided[key])}" for key, label in _DETAILS.items() if decided.get(key)]
    return "\n".join(lines) + "\n", decided["allowed"]


_DETAILS = {"statement": "decided by", "detail": "because"}


def _evaluate_iam(asked: Asked, policies: Sequence[Path], boundaries: Sequence[Path]) -> dict[str, Any]:
    if asked.parameters:
        raise UnreadableInputError("--parameter is Vault's", hint="IAM's conditions read --context")
    context = read_pairs(asked.context, "--context")
    documents, limits = read_iam(policies), read_iam(boundaries) if boundaries else None
    with reading():
        decision = iam.evaluate(
            documents, asked.action, asked.resource, context, boundary=limits, principal=asked.principal
        )
    statement = None if decision.statement is None else str(decision.statement)
    return {"allowed": decision.allowed, "reason": str(decision.reason), "statement": statement, "detail": None}


def _evaluate_vault(asked: Asked, policies: Sequence[Path]) -> dict[str, Any]:
    if asked.context or asked.principal:
        raise UnreadableInputError("--context and --principal are IAM's", hint="Vault's rules read --parameter")
    parameters = read_pairs(asked.parameters, "--parameter")
    documents = read_vault(policies)
    with reading():
        decision = vault.evaluate(documents, asked.resource, asked.action, parameters or None)
    rule = None if decision.rule is None else f'path "{decision.rule.path}"'
    return {
        "allowed": decision.allowed,
        "reason": str(decision.reason),
        "statement": rule,
        "detail": decision.detail or None,
    }
