"""Typed handlers: how one kind of gated action is looked at beforehand, carried out, and looked at afterwards.

A handler is a `Handler` under the entry point group `narrowgate.actions`; its name is what an action's `execute:
handler:` says. Built in: `sql-function`, `aws-call`, `http`. This package must not decide who may approve anything.
"""

from narrowgate.approvals.handlers.handler import (
    ENTRY_POINTS,
    Credentials,
    Handler,
    Plan,
    find_handler,
)

__all__ = ["ENTRY_POINTS", "Credentials", "Handler", "Plan", "find_handler"]
