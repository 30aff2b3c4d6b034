"""Where everything of a rehearsal lies. Nothing else spells a path of it.

All state is under one folder inside the checkout (`.rehearsal`, or `$NARROWGATE_REHEARSAL_DIR`); what is expensive to
make and the same for every checkout is in the cache. This module must not create, read or write anything.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one rehearsal: its state `root`, the `stacks` folder it deploys, the `cache` it shares.

    Here stands what its environments share: the emulator's process, memory, logs, programs. `of` gives one's own.
    """

    root: Path
    cache: Path
    stacks: Path = field(default=CHECKOUT / "stacks")
    checkout: Path = field(default=CHECKOUT)

    @property
    def state_file(self) -> Path:
        """Return the file that remembers ports and processes."""
        return self.root / "state.json"

    @property
    def lock_file(self) -> Path:
        """Return the file whose lock lets one `up`, `down` or `reset` run at a time."""
        return self.root / "lock"

    @property
    def home(self) -> Path:
        """Return the empty home folder that servers get, so that a user's own settings never leak in."""
        return self.root / "home"

    @property
    def logs(self) -> Path:
        """Return the folder of the servers' logs."""
        return self.root / "logs"

    @property
    def aws(self) -> Path:
        """Return the AWS emulator's folder: its state and its record of calls, of all accounts."""
        return self.root / "aws"

    @property
    def cloudtrail(self) -> Path:
        """Return the record of every emulated AWS call, one JSON event a line."""
        return self.aws / "cloudtrail.jsonl"

    @property
    def ci(self) -> Path:
        """Return the folder of CI's own identity provider: its signing key, and what AWS knows of it."""
        return self.root / "ci"

    @property
    def bin(self) -> Path:
        """Return the folder of clients that `rehearsal env` puts first on PATH."""
        return self.root / "bin"

    @property
    def policy_pack(self) -> Path:
        """Return the policy pack's folder."""
        return self.checkout / "policies"

    @property
    def venv(self) -> Path:
        """Return the checkout's virtual environment."""
        return self.checkout / ".venv"

    def log(self, name: str) -> Path:
        """Return the log of the part called `name`."""
        return self.logs / f"{name}.log"

    def of(self, environment: str) -> EnvironmentLayout:
        """Return the layout of one environment of this rehearsal."""
        return EnvironmentLayout(
            root=self.root, cache=self.cache, stacks=self.stacks, checkout=self.checkout, environment=environment
        )


@dataclass(frozen=True, slots=True)
class EnvironmentLayout(Layout):
    """The paths of one environment: what only it has, beside what it shares with the rehearsal's others."""

    environment: str = field(kw_only=True)

    @property
    def folder(self) -> Path:
        """Return the folder of everything that is this environment's own."""
        return self.root / self.environment

    @property
    def stack(self) -> str:
        """Return the name of the stack of its workflows."""
        return self.environment

    @property
    def foundation_stack(self) -> str:
        """Return the name of the stack of its foundation."""
        return f"{self.environment}-foundation"

    def part(self, name: str) -> str:
        """Return the name under which this environment's server called `name` is remembered and logs."""
        return f"{self.environment}-{name}"

    @property
    def pki(self) -> Path:
        """Return the folder of its own certificate authority."""
        return self.folder / "pki"

    @property
    def ca_certificate(self) -> Path:
        """Return the certificate that its clients trust."""
        return self.pki / "ca.pem"

    @property
    def bao(self) -> Path:
        """Return OpenBao's folder: configuration, storage, unseal key, plugins, audit file."""
        return self.folder / "bao"

    @property
    def postgres(self) -> Path:
        """Return PostgreSQL's folder: data and password files."""
        return self.folder / "postgres"

    @property
    def idp(self) -> Path:
        """Return the identity provider's folder: its signing key."""
        return self.folder / "idp"

    @property
    def credentials(self) -> Path:
        """Return the folder of the access keys of its AWS account."""
        return self.folder / "aws"

    @property
    def operator_credentials(self) -> Path:
        """Return the AWS shared-credentials file of the account's operator."""
        return self.credentials / "operator-credentials"

    @property
    def broker_credentials(self) -> Path:
        """Return the AWS shared-credentials file of Vault's broker."""
        return self.credentials / "broker-credentials"

    @property
    def gated_broker_credentials(self) -> Path:
        """Return the AWS shared-credentials file of the broker of gated roles."""
        return self.credentials / "gated-broker-credentials"

    @property
    def on_call_credentials(self) -> Path:
        """Return the AWS shared-credentials file of the people who may stop workflows."""
        return self.credentials / "on-call-credentials"

    @property
    def pulumi_home(self) -> Path:
        """Return the engine's own home, so that a user's `~/.pulumi` is never touched."""
        return self.folder / "pulumi" / "home"

    @property
    def pulumi_state(self) -> Path:
        """Return the folder of the engine's file backend."""
        return self.folder / "pulumi" / "state"

    @property
    def pulumi_passphrase(self) -> Path:
        """Return the file of the passphrase that encrypts the stacks' secrets."""
        return self.folder / "pulumi" / "passphrase"

    @property
    def project(self) -> Path:
        """Return the generated Pulumi project."""
        return self.folder / "project"

    @property
    def ledgers(self) -> Path:
        """Return the folder in which each workflow's agents keep their ledger."""
        return self.folder / "ledgers"

    @property
    def manifests(self) -> Path:
        """Return the folder of the workflows' manifests, one JSON file each."""
        return self.folder / "manifests"

    @property
    def gate(self) -> Path:
        """Return the file of the gate's description; there is none where nothing is gated."""
        return self.folder / "gate.json"


def find_cache(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder, outside every checkout."""
    own = environ.get("NARROWGATE_CACHE")
    if own:
        return Path(own).absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".cache").absolute() / "narrowgate"


def find_layout(environ: Mapping[str, str] = os.environ) -> Layout:
    """Return this checkout's rehearsal, or the one that `$NARROWGATE_REHEARSAL_DIR` names."""
    own = environ.get("NARROWGATE_REHEARSAL_DIR")
    return Layout(root=Path(own).absolute() if own else CHECKOUT / ".rehearsal", cache=find_cache(environ))
