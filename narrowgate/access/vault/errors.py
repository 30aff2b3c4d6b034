"""What can be wrong with a Vault policy. Must not import anything but the project's root of errors."""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class VaultPolicyError(NarrowgateError):
    """A policy that the server would refuse, with the place in its text where that is seen.

    `line` and `column` count from 1; both are 0 where the fault has no place (a policy given as a dict, or a set
    of policies that the server refuses as a whole).
    """

    code = "vault-policy-refused"
    hint = "The server refuses this policy as well: correct it at the place named."

    def __init__(
        self, message: str, *, line: int = 0, column: int = 0, policy: str = "", hint: str | None = None
    ) -> None:
        self.message = message
        self.line = line
        self.column = column
        self.policy = policy
        where = f"{policy or 'policy'}:{line}:{column}: " if line else (f"{policy}: " if policy else "")
        super().__init__(f"{where}{message}", hint=hint)


class VaultPolicySyntaxError(VaultPolicyError):
    """Text that is neither HCL (version 1) nor JSON as the server's parser reads them."""

    code = "vault-policy-syntax"


class VaultRequestError(NarrowgateError):
    """A question that has no answer: an unknown capability, a wrap TTL that is not a duration."""

    code = "vault-request-invalid"
