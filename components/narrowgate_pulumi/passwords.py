"""Finds a password in a libpq password file, as libpq itself does: the first line whose fields all match.

The format: https://www.postgresql.org/docs/current/libpq-pgpass.html. No error here may hold a line of the file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.private_files import read_private_file

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.compile.documents import Json

FIELD = re.compile(r"((?:\\.|[^\\:])*)(?::|$)")
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
    secret = read_private_file(file, "the file", SecretFileError).strip()
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
    for line in read_private_file(file, "the password file", PasswordFileError).splitlines():
        fields = [re.sub(r"\\(.)", r"\1", field) for field in FIELD.findall(line)] if line[:1] != "#" else []
        if len(fields) > len(wanted) and all(f in ("*", w) for f, w in zip(fields, wanted, strict=False)):
            return fields[len(wanted)]
    raise PasswordFileError(
        f"the password file {file} has no line for {wanted[3]} at {wanted[0]}:{wanted[1]}/{wanted[2]}"
    )
