"""Files of secrets: what can't be read, or what others can read, is refused in words that hold nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from narrowgate_pulumi.access_keys import AccessKeyFileError, read_access_key
from narrowgate_pulumi.passwords import PasswordFileError, SecretFileError, look_up_password, read_secret_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.errors import NarrowgateError

CONNECTION: dict[str, Any] = {"connection_url": "postgresql://db:5432/x", "username": "u"}
READERS: dict[str, tuple[Callable[[Path], object], type[NarrowgateError]]] = {
    "access key": (read_access_key, AccessKeyFileError),
    "password": (lambda file: look_up_password(file, CONNECTION), PasswordFileError),
    "secret": (read_secret_file, SecretFileError),
}


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"swordfish \xff\xfe", 0o600, "no text in UTF-8"),
        (b"swordfish", 0o640, "read by others"),
        (None, 0, "cannot be read"),
    ],
)
def test_a_file_that_can_not_be_taken_is_told_without_what_is_in_it(
    tmp_path: Path, reader: str, content: bytes | None, mode: int, words: str
) -> None:
    read, error = READERS[reader]
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(error, match=words) as raised:
        read(file)
    assert "swordfish" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
