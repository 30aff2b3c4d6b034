"""Finds a password in a libpq password file, as libpq itself does: the first line whose fields all match.

The format: https://www.postgresql.org/docs/current/libpq-pgpass.html. No error here may hold a line of the file.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.compile.documents import Json

FIELD = re.compile(r"((?:\\.|[^\\:])*)(?::|$)")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
DEFAULT_PORT = 5432


class PasswordFileError(NarrowgateError):
    """The password file cannot be read, is readable by others, or does not hold the password."""

    code = "password-file"
    hint = "one line host:port:database:user:password for each database, readable by you alone (mode 0600)"


class SecretFileError(NarrowgateError):
    """The file of a secret cannot be read, is readable by others, or holds no secret."""

    code = "secret-file"
    hint = "a file that holds the secret and nothing else, readable by you alone (mode 0600)"


def read_secret_file(file: Path) -> str:
    """Return the secret that `file` holds.

    Raises:
        SecretFileError: it is missing or empty, or others can read it.

    """
    try:
        if file.stat().st_mode & OTHERS:
            raise SecretFileError(f"the file {file} can be read by others than its owner")
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretFileError(f"the file {file} cannot be read: {type(error).__name__}") from None
    if not secret:
        raise SecretFileError(f"the file {file} is empty")
    return secret


def look_up_password(file: Path, connection: Json) -> str:
    """Return the password for the user and the address of a Vault connection (`connection_url`, `username`).

    Raises:
        PasswordFileError: the file is missing, others can read it, or no line matches.

    """
    address = urlsplit(str(connection["connection_url"]).replace("{{username}}:{{password}}@", ""))
    wanted = (
        address.hostname or "",
        str(address.port or DEFAULT_PORT),
        unquote(address.path.removeprefix("/")),
        str(connection["username"]),
    )
    try:
        if file.stat().st_mode & OTHERS:
            raise PasswordFileError(f"the password file {file} can be read by others than its owner")
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PasswordFileError(f"the password file {file} cannot be read: {error.strerror}") from None
    for line in lines:
        fields = [re.sub(r"\\(.)", r"\1", field) for field in FIELD.findall(line)] if line[:1] != "#" else []
        if len(fields) > len(wanted) and all(f in ("*", w) for f, w in zip(fields, wanted, strict=False)):
            return fields[len(wanted)]
    raise PasswordFileError(
        f"the password file {file} has no line for {wanted[3]} at {wanted[0]}:{wanted[1]}/{wanted[2]}"
    )
