"""Reads from Vault what vouches for ledgers: anchors and public keys, by the auditor's own login.

An anchor that has a second version, or that is gone while its name stands, is a finding: nobody should have made that.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import hvac
import hvac.exceptions
import requests

from narrowgate.audit.keys import PublicKeys
from narrowgate.audit.ledger.checkpoints import Anchor, read_anchor
from narrowgate.audit.ledger.errors import LedgerError, RecordError
from narrowgate.compile.ledger import ANCHOR_MOUNT, SIGNING_MOUNT

if TYPE_CHECKING:
    from collections.abc import Iterable

TIMEOUT_SECONDS = 15
ID_LENGTH = 36  # a ledger's id, as `name_anchor` puts it first


class AuditorError(LedgerError):
    """Vault does not answer the auditor, or not as it must."""

    code = "auditor-refused"
    hint = "Set VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT of an auditor: `narrowgate ledger policy auditor -e ENV`."
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Anchors:
    """All anchors of some workflows, and what is wrong with them themselves."""

    anchors: list[Anchor] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def connect() -> hvac.Client:
    """Return a client by VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT and VAULT_NAMESPACE; raise AuditorError without them."""
    address, token = os.environ.get("VAULT_ADDR"), os.environ.get("VAULT_TOKEN")
    if not address or not token:
        raise AuditorError("There is no auditor's login to Vault.")
    session = requests.Session()
    session.trust_env = False
    session.verify = os.environ.get("VAULT_CACERT") or True
    namespace = os.environ.get("VAULT_NAMESPACE")
    return hvac.Client(url=address, token=token, session=session, timeout=TIMEOUT_SECONDS, namespace=namespace)


class VaultReader:
    """One auditor's eyes on Vault; raises AuditorError where Vault refuses or cannot be reached."""

    def __init__(self, client: hvac.Client) -> None:
        self._client = client

    def list_names(self, path: str) -> list[str]:
        """Return the names below `path`, none where there is nothing."""
        answer = self._ask("list", path)
        return [] if answer is None else [str(key) for key in answer["data"].get("keys") or ()]

    def read(self, path: str) -> dict[str, Any] | None:
        """Return the `data` of `path`, or None where there is nothing."""
        answer = self._ask("read", path)
        return None if answer is None else dict(answer.get("data") or {})

    def _ask(self, verb: str, path: str) -> dict[str, Any] | None:
        try:
            answer = getattr(self._client, verb)(path)
        except hvac.exceptions.InvalidPath:
            return None
        except hvac.exceptions.VaultError as error:
            raise AuditorError(f"Vault refused to {verb} {path}: {type(error).__name__}.") from None
        except requests.RequestException as error:
            raise AuditorError(f"Vault cannot be reached: {type(error).__name__}.") from None
        return answer if isinstance(answer, dict) else None

    def list_workflows(self) -> list[str]:
        """Return every workflow that has an anchor."""
        return sorted(name.strip("/") for name in self.list_names(f"{ANCHOR_MOUNT}/metadata"))

    def read_anchors(self, *workflows: str, ledger: str | None = None) -> Anchors:
        """Return the anchors of `workflows`, by default of all; with `ledger`, the last ones only of other ledgers."""
        found = Anchors()
        for workflow in workflows or self.list_workflows():
            names = {
                f"{ANCHOR_MOUNT}/data/{workflow}/{entity.strip('/')}/{name}": name
                for entity in self.list_names(f"{ANCHOR_MOUNT}/metadata/{workflow}")
                for name in self.list_names(f"{ANCHOR_MOUNT}/metadata/{workflow}/{entity.strip('/')}")
            }
            for place in names if ledger is None else _choose(names, ledger):
                self._take(place, found)
        return found

    def _take(self, place: str, found: Anchors) -> None:
        answer = self.read(place)
        if answer is None or not isinstance(answer.get("data"), dict):
            found.problems.append(f"the anchor {place} is gone")
            return
        if (answer.get("metadata") or {}).get("version") != 1:
            found.problems.append(f"the anchor {place} was written more than once")
        try:
            found.anchors.append(read_anchor(answer["data"], place))
        except RecordError as error:
            found.problems.append(f"the anchor {place} is none: {error}")

    def read_keys(self, workflows: Iterable[str]) -> PublicKeys:
        """Return what checks the signatures of `workflows`' ledgers."""
        return PublicKeys(self.read_raw_keys(workflows))

    def read_raw_keys(self, workflows: Iterable[str]) -> dict[str, dict[int, bytes]]:
        """Return the public keys of `workflows`' ledgers, by the key's name and version."""
        keys: dict[str, dict[int, bytes]] = {}
        for workflow in workflows:
            versions = (self.read(f"{SIGNING_MOUNT}/keys/{workflow}") or {}).get("keys") or {}
            keys[f"{SIGNING_MOUNT}/{workflow}"] = {
                int(version): base64.b64decode(known["public_key"]) for version, known in versions.items()
            }
        return keys


def _choose(names: dict[str, str], ledger: str) -> list[str]:
    """Return the places of all anchors of `ledger`, and of the last one of every other; names begin with the id."""
    chosen, last = [], {}
    for place, name in sorted(names.items(), key=lambda item: item[1]):
        owner = name[:ID_LENGTH]
        if owner == ledger:
            chosen.append(place)
        else:
            last[owner] = place
    return [*chosen, *last.values()]
