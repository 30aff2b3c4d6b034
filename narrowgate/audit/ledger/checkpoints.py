"""Checkpoints: what vouches for a ledger up to one record, signed, and anchored where the writer cannot rewrite it.

Without them somebody who can write the file can write it anew, chain and all. The signature says that whoever holds
the workflow's login saw this hash; the anchor says that it was so then, whatever its holder would like later.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from narrowgate.audit.ledger.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All of `ledger` (its id) up to record `seq`, whose line has the hash `head`; the file was `size` bytes long."""

    ledger: str
    seq: int
    head: str
    size: int
    time: str
    host: str
    path: str

    def message(self) -> bytes:
        """Return the bytes that are signed: every field, one a line, so that no two checkpoints share them."""
        fields = (self.ledger, str(self.seq), self.head, str(self.size), self.time, self.host, self.path)
        return "\n".join((f"narrowgate ledger checkpoint {VERSION}", *(f.encode().hex() for f in fields))).encode()


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint with its `signature` (Vault's text, empty where there is no signer) and the anchor's own `place`."""

    checkpoint: Checkpoint
    signature: str
    key: str
    place: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the anchor as JSON-ready data."""
        return {"version": VERSION, **asdict(self.checkpoint), "signature": self.signature, "key": self.key}


class Witness(Protocol):
    """Who signs and anchors checkpoints: Vault, by the agent's own login.

    Both raise `CheckpointError`, or another error of Narrowgate, where they cannot.
    """

    @property
    def key(self) -> str:
        """Return what the signing key is called."""

    def sign(self, message: bytes) -> str:
        """Return the signature of `message`."""

    def anchor(self, name: str, data: Mapping[str, Any]) -> str:
        """Keep `data` under `name` where it cannot be rewritten, and return the place."""


def read_anchor(data: Mapping[str, Any], place: str = "") -> Anchor:
    """Return the anchor that `data` describes.

    Raises:
        RecordError: it describes none, or one of a newer version.

    """
    if not isinstance(data.get("version"), int) or data["version"] > VERSION:
        raise RecordError(f"An anchor has version {data.get('version')!r}; this library reads {VERSION}.")
    try:
        checkpoint = Checkpoint(
            str(data["ledger"]),
            int(data["seq"]),
            str(data["head"]),
            int(data["size"]),
            str(data["time"]),
            str(data["host"]),
            str(data["path"]),
        )
        return Anchor(checkpoint, str(data["signature"]), str(data["key"]), place)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(f"An anchor is not complete: {type(error).__name__} at {error}.") from None


def name_anchor(checkpoint: Checkpoint) -> str:
    """Return the name of a checkpoint's anchor: it sorts by ledger and record."""
    return f"{checkpoint.ledger}-{checkpoint.seq:012d}"
