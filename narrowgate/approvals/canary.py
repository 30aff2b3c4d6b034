"""Proves that the gate holds, before an executor serves: each gated path is asked for, and nothing may come of it.

A server without control groups ignores their stanza and would hand the credentials over; so would a second policy of
the same token that opens the path. The canary is a real request by the request's real login, with a digest that no case
has; nobody approves it, and its login is revoked in the end whatever happened.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from narrowgate.approvals.canonical import digest_text
from narrowgate.approvals.errors import ApprovalsError, BadRequestError, NoGateError, NotFoundError, VaultRefusedError
from narrowgate.approvals.intake import hold_request

if TYPE_CHECKING:
    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.settings import GatedAction


def prove_gate(executor: Executor) -> int:
    """Try every gated path of `executor`, and return how many hold.

    Raises:
        NoGateError: one of them is open, or the server has no control groups.
        LoginError, VaultRefusedError: the executor is not let in.
        VaultDownError: Vault cannot answer: nothing is proven.

    """
    executor.log_in()
    for action in executor.actions:
        _prove(executor, action)
    return len(executor.actions)


def _prove(executor: Executor, action: GatedAction) -> None:
    vault = executor.vault
    digest = digest_text(f"canary of {executor.name}")
    held = hold_request(vault, executor.gate, action, executor.read_token(), digest)
    try:
        try:
            body = {"accessor": held["accessor"]}
            told = vault.ask("post", "sys/control-group/request", body, repeat=True)["data"]
        except NotFoundError:
            raise NoGateError("This Vault has no control groups: it cannot hold a request for approval.") from None
        if told.get("approved") or (told.get("request_data") or {}).get("digest") != digest:
            raise NoGateError(f"Vault holds {action.path}, and takes it for approved, or for another request.")
        _try_unwrapping(executor, action, held["wrapping"])
    finally:
        with contextlib.suppress(ApprovalsError):
            vault.revoke_self(held["login"])


def _try_unwrapping(executor: Executor, action: GatedAction, wrapping: str) -> None:
    """Take the credentials without an approval: Vault must refuse that."""
    try:
        executor.vault.ask("post", "sys/wrapping/unwrap", {}, token=wrapping)
    except (BadRequestError, VaultRefusedError):
        return
    raise NoGateError(f"Vault gave {action.path} without any approval.")
