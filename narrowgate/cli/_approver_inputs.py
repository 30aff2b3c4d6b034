"""What the commands of approvers share: which gate, and a login by the person's own token, never taken from argv."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.approvals import Approver, Gate

VAULT_TOKEN: Final = "VAULT_TOKEN"  # noqa: S105 - a variable's name
# Where `bao login` and `vault login` keep the token.
VAULT_TOKEN_FILE: Final = Path(".vault-token")

GateOption = Annotated[
    Path | None,
    typer.Option(
        "--gate",
        envvar="NARROWGATE_GATE",
        show_envvar=False,
        help="The file of the environment's gate, the stack's output `gate`; else NARROWGATE_GATE.",
    ),
]
ApproverTokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="NARROWGATE_APPROVER_TOKEN_FILE",
        show_envvar=False,
        help="The file of your own token of the identity provider; else NARROWGATE_APPROVER_TOKEN_FILE, else a login "
        "to Vault that you have: VAULT_TOKEN, or what `bao login` left in ~/.vault-token.",
    ),
]


def find_gate(gate: Path | None) -> Gate:
    """Return the gate's description; raise SettingsError where there is none."""
    from narrowgate.approvals import read_gate

    return read_gate(gate)


@contextmanager
def log_in(gate: Path | None, token_file: Path | None) -> Iterator[Approver]:
    """Give the approver: by a login of this command's own, revoked after it, or by a Vault token that stands.

    Raises SettingsError, LoginError, VaultRefusedError, NotAllowedError or VaultDownError.
    """
    from narrowgate.approvals import log_in_approver, resume_approver

    known = find_gate(gate)
    if token_file is not None:
        with log_in_approver(known, read_token(token_file)) as approver:
            yield approver
        return
    with resume_approver(known, _find_vault_token()) as approver:
        yield approver


def read_token(file: Path) -> str:
    """Return the token in `file`; raise LoginError where it cannot be read or is empty."""
    from narrowgate.approvals import LoginError

    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LoginError(f"The token file {file} cannot be read ({type(error).__name__}).") from None
    if not token:
        raise LoginError(f"The token file {file} is empty.")
    return token


def _find_vault_token() -> str:
    from narrowgate.approvals import LoginError

    token = os.environ.get(VAULT_TOKEN, "").strip()
    file = Path.home() / VAULT_TOKEN_FILE
    if not token and file.is_file():
        token = read_token(file)
    if not token:
        raise LoginError(
            "There is no token of yours.",
            hint="Name a file with your identity provider's token in --token-file or NARROWGATE_APPROVER_TOKEN_FILE, "
            "or log in with `bao login -method=oidc -path=approvers`.",
        )
    return token
