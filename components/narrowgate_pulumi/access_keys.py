"""Finds an AWS access key in a shared-credentials file, as AWS's own clients do: the profile `default`.

No error here may hold a line of the file.
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.private_files import read_private_file

if TYPE_CHECKING:
    from pathlib import Path


class AccessKeyFileError(NarrowgateError):
    """The credentials file cannot be read, is readable by others, or holds no access key."""

    code = "access-key-file"
    hint = "a profile `default` with aws_access_key_id and aws_secret_access_key, readable by you alone (mode 0600)"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An IAM user's access key; its `secret` never shows in a repr."""

    id: str
    secret: str = field(repr=False)


def read_access_key(file: Path) -> AccessKey:
    """Return the access key in `file`; raise AccessKeyFileError where there is none, or where others can read it."""
    text = read_private_file(file, "the credentials file", AccessKeyFileError)
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        return AccessKey(parser["default"]["aws_access_key_id"], parser["default"]["aws_secret_access_key"])
    except (KeyError, configparser.Error):
        raise AccessKeyFileError(f"the credentials file {file} holds no access key") from None
