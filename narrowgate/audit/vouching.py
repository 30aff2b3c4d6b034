"""What vouches for ledgers, gathered for a verification: anchors, public keys, and what is wrong with them themselves.

It comes from Vault by an auditor's login, or from a file that an auditor wrote (`narrowgate ledger anchors`), so that a
ledger can be verified where Vault cannot be reached. This module must not judge a ledger.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from narrowgate.audit.keys import PublicKeys
from narrowgate.audit.ledger.checkpoints import Anchor, read_anchor
from narrowgate.audit.ledger.errors import LedgerError, RecordError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from narrowgate.audit.anchors import VaultReader

VERSION: Final = 1
Keys = dict[str, dict[int, bytes]]


class VouchersUnreadableError(LedgerError):
    """The file of anchors and keys cannot be read, or is none."""

    code = "anchors-unreadable"
    hint = "Write it anew: narrowgate ledger anchors > anchors.jsonl"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Vouchers:
    """Anchors and the public keys of those who signed them; `problems` are of the anchors themselves."""

    anchors: list[Anchor] = field(default_factory=list)
    keys: Keys = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def public_keys(self) -> PublicKeys:
        """Return what checks signatures."""
        return PublicKeys(self.keys)


def gather_vouchers(reader: VaultReader, *, ledger: str | None = None) -> Vouchers:
    """Return what Vault keeps: all anchors, or those of one `ledger` and the last one of every other.

    Raises:
        AuditorError: Vault refuses, or cannot be reached.

    """
    workflows = reader.list_workflows()
    found = reader.read_anchors(*workflows, ledger=ledger) if workflows else None
    return Vouchers(
        [] if found is None else found.anchors, reader.read_raw_keys(workflows), [] if found is None else found.problems
    )


def write_vouchers(vouchers: Vouchers) -> Iterator[str]:
    """Yield `vouchers` as lines of JSON."""
    for name, versions in sorted(vouchers.keys.items()):
        known = {str(version): base64.b64encode(raw).decode() for version, raw in sorted(versions.items())}
        yield json.dumps({"version": VERSION, "public_key": name, "versions": known})
    for anchor in vouchers.anchors:
        yield json.dumps({**anchor.describe(), "place": anchor.place})
    for problem in vouchers.problems:
        yield json.dumps({"version": VERSION, "problem": problem})


def read_vouchers(path: Path) -> Vouchers:
    """Return what `write_vouchers` wrote into the file `path`; raise VouchersUnreadableError."""
    vouchers = Vouchers()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise VouchersUnreadableError(f"{path} cannot be read: {type(error).__name__}.") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                _take(json.loads(line), vouchers)
            except (RecordError, ValueError, TypeError, AttributeError, binascii.Error) as error:
                raise VouchersUnreadableError(f"{path}:{number}: {error}") from None
    return vouchers


def _take(data: Any, vouchers: Vouchers) -> None:  # noqa: ANN401 - one line's JSON
    if not isinstance(data, Mapping) or data.get("version") != VERSION:
        raise RecordError(f"It is no line of version {VERSION}.")
    if "public_key" in data:
        versions = {int(number): base64.b64decode(text, validate=True) for number, text in data["versions"].items()}
        vouchers.keys[str(data["public_key"])] = versions
    elif "problem" in data:
        vouchers.problems.append(str(data["problem"]))
    else:
        vouchers.anchors.append(read_anchor(data, str(data.get("place", ""))))
