"""What can go wrong for an agent, each with a stable code and a hint that says what to do.

No message here may hold a credential: Vault's own words are passed on only after `redact`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Iterable

SHORTEST_SECRET = 6  # anything shorter would blank out ordinary words


class AgentError(NarrowgateError):
    """Root of all errors that `narrowgate.runtime` raises on purpose."""

    code = "agent-error"


class ManifestError(AgentError):
    """The manifest is missing, unreadable, or newer than this library."""

    code = "manifest-invalid"
    hint = "Take the manifest from the workflow stack's output `manifests` and name its file in NARROWGATE_MANIFEST."


class NotDeclaredError(AgentError):
    """The workflow does not declare this tool or action (or it is of another backend)."""

    code = "not-declared"
    hint = "Declare the tool and its action in the workflow's file and deploy it; a reviewer accepts the new access."


class GatedActionError(AgentError):
    """The action is of high impact: no agent ever holds its credentials."""

    code = "action-gated"
    hint = "Propose it: write a draft; a person approves exactly that, and the executor carries it out."


class ProposalError(AgentError):
    """What is proposed cannot become a case: no rationale, inputs that do not fit the schema, or no gated action."""

    code = "proposal-invalid"
    hint = "The manifest holds the schema of the action's inputs."


class LoginRefusedError(AgentError):
    """Vault refused the login: wrong agent, wrong audience, a user outside `requesters`, a bad signature."""

    code = "login-refused"
    hint = "The token must name this workflow's agent and audience, and its user must be in one of `requesters`."


class ExpiredError(AgentError):
    """The login's time is over: the identity provider's token, or Vault's."""

    code = "login-expired"
    hint = "Get a fresh token from the identity provider and log in again."


class RevokedError(AgentError):
    """Vault no longer knows this agent's token although its time is not over: somebody revoked it."""

    code = "login-revoked"
    hint = "Somebody revoked this workflow's access. Ask its owner before you log in again."


class AccessRefusedError(AgentError):
    """Vault refused a path that the manifest names: manifest and deployment differ."""

    code = "access-refused"
    hint = "The manifest may be out of date: take the current one from the stack's outputs."


class AbsentError(AccessRefusedError):
    """Nothing stands at a path that this agent may read."""


class VaultSealedError(AgentError):
    """Vault is sealed: it gives nothing until its operator unseals it."""

    code = "vault-sealed"
    hint = "Ask the operator of Vault to unseal it; credentials in hand go on working until they expire."


class VaultUnavailableError(AgentError):
    """Vault could not be reached, or failed, in spite of bounded retries."""

    code = "vault-unavailable"
    hint = "Check the address and the CA in the manifest, and whether Vault is up."


class ToolUnavailableError(AgentError):
    """Vault or the tool's system failed to make or take a credential; nothing was refused on purpose."""

    code = "tool-unavailable"
    hint = "Check that the tool's system is up and reachable from here and from Vault."


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every one of `secrets` (of 6 characters or more) replaced."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, "[redacted]")
    return text
