"""What can go wrong between a draft and its record, each with a stable code and a hint.

No message here may hold a credential, a wrapping token or an action's inputs.
"""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class ApprovalsError(NarrowgateError):
    """Root of all errors that `narrowgate.approvals` raises on purpose."""

    code = "approvals-error"


class SettingsError(ApprovalsError):
    """The description of the environment's gate is missing, unreadable, or newer than this library."""

    code = "gate-settings-invalid"
    exit_code = 2
    hint = "Take it from the workflow stack's output `gate` and name its file in NARROWGATE_GATE."


class VaultDownError(ApprovalsError):
    """Vault cannot be reached, is sealed, or failed: nothing is known, so nothing is decided."""

    code = "vault-unavailable"
    exit_code = 2
    hint = "Try again when Vault is up; nothing is lost, and nothing was approved or executed by this call."


class VaultRefusedError(ApprovalsError):
    """Vault refused the request: a token that is over, or a path that its policies do not open."""

    code = "vault-refused"
    hint = "Log in again; who may do what is declared in the workflow's `approvals`."


class BadRequestError(ApprovalsError):
    """Vault understood the request and could not carry it out (a wrapping token that is used, for example)."""

    code = "vault-bad-request"


class NotFoundError(ApprovalsError):
    """There is no such case."""

    code = "case-unknown"
    hint = "`narrowgate approvals list` shows the open cases."


class LoginError(ApprovalsError):
    """Vault did not take the login."""

    code = "login-refused"
    hint = "The token must be the identity provider's, for this environment, and its user in an approvers' group."


class CaseAlteredError(ApprovalsError):
    """What is stored is not what its digest says, or not what Vault holds the credentials for."""

    code = "case-altered"
    hint = "Do not approve it. Run `narrowgate approvals stop-all` and call whoever runs Vault."


class NotShownError(ApprovalsError):
    """The digest that came with the decision is not the case's: something else was on the screen."""

    code = "case-not-shown"
    hint = "Read the case again and decide on what it says now."


class NotAllowedError(ApprovalsError):
    """This person may not decide on this case."""

    code = "not-an-approver"


class DecidedError(ApprovalsError):
    """A decision stands already, or the case is no longer open."""

    code = "case-decided"
    hint = "A decision is final; the agent may propose anew."


class DraftError(ApprovalsError):
    """A draft that cannot become a case."""

    code = "draft-invalid"


class TargetDownError(ApprovalsError):
    """The target cannot be read now: nothing is decided, and it is tried again."""

    code = "target-unavailable"


class NotExecutedError(ApprovalsError):
    """A handler is certain that nothing was changed."""

    code = "not-executed"


class RecordNotKeptError(ApprovalsError):
    """The record before an execution could not be kept and vouched for, so nothing was executed; it is tried again."""

    code = "record-not-kept"
    hint = "See to the executor's disk, and that Vault signs and anchors checkpoints; the request stays open meanwhile."


class NoGateError(ApprovalsError):
    """The server holds no request back: it has no control groups, or the path is not gated there."""

    code = "gate-open"
    hint = "Control groups exist in OpenBao 2.7 and newer, and in Vault Enterprise."
