"""The credentials that an agent's code holds: values that never show in a repr, and know how long they serve.

Each is made from what Vault answered and from what the manifest says of the tool; nothing here talks to anybody.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from narrowgate.runtime import clock
from narrowgate.runtime.errors import ToolUnavailableError
from narrowgate.runtime.log import logger

if TYPE_CHECKING:
    from narrowgate.runtime.manifest import ManifestTool

# A person may rotate a secret at any time: what was read longer ago is read again.
SECRET_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Credential:
    """One short-lived credential as Vault issued it. `values` never shows in a repr."""

    tool: str
    lease_id: str
    ttl_seconds: float
    issued_at: float  # by `clock.read()`
    values: Mapping[str, Any] = field(repr=False)

    @property
    def seconds_left(self) -> float:
        """Return how long it still serves, below zero when it is over."""
        return self.issued_at + self.ttl_seconds - clock.read()

    def text(self, name: str) -> str:
        """Return one of the values; raise ToolUnavailableError where Vault's answer has none of that name."""
        value = self.values.get(name)
        if value in (None, ""):
            raise ToolUnavailableError(f"Vault answered for the tool {self.tool} without {name}.")
        return str(value)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token that Vault signed for the one `audience`. It fits `requests` and `httpx` as `auth=`."""

    audience: str
    credential: Credential = field(repr=False)

    @property
    def token(self) -> str:
        """Return the signed token itself."""
        return self.credential.text("token")

    @property
    def header(self) -> str:
        """Return the value of the header `Authorization`."""
        return f"Bearer {self.token}"

    @property
    def seconds_left(self) -> float:
        """Return how long it still serves."""
        return self.credential.seconds_left

    def __call__(self, request: Any) -> Any:  # noqa: ANN401 - a request of requests or of httpx
        """Put the token into a request's headers and return the request."""
        request.headers["Authorization"] = self.header
        return request


@dataclass(frozen=True, slots=True)
class Secret:
    """A tool's secret: `values` by name, the `version` that was read and when that was written."""

    values: Mapping[str, str] = field(repr=False)
    version: int
    written_at: datetime | None

    def __getitem__(self, name: str) -> str:
        """Return one value; raise KeyError with the names that there are."""
        if name not in self.values:
            raise KeyError(f"{name}: the secret has {', '.join(sorted(self.values)) or 'nothing'}")
        return self.values[name]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate with its key, all as PEM; its one name is `uri_san`."""

    uri_san: str
    certificate_pem: str
    chain_pem: str
    key_pem: str = field(repr=False)
    credential: Credential = field(repr=False)

    @property
    def seconds_left(self) -> float:
        """Return how long it still serves."""
        return self.credential.seconds_left

    def ssl_context(self, ca_pem: str | None = None) -> ssl.SSLContext:
        """Return a client's TLS context that shows this certificate, and trusts `ca_pem` instead of the system's CAs.

        The key is in a private file only while it is loaded.
        """
        context = ssl.create_default_context(cadata=ca_pem)
        handle, path = tempfile.mkstemp(prefix="narrowgate-certificate-", suffix=".pem")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(f"{self.key_pem}\n{self.certificate_pem}\n{self.chain_pem}\n")
            context.load_cert_chain(path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - a plain name from mkstemp
        return context


def make_bearer(tool: ManifestTool, credential: Credential) -> Bearer:
    """Return the token in `credential`; raise ToolUnavailableError where there is none."""
    bearer = Bearer(tool.text("audience"), credential)
    bearer.header  # noqa: B018 - an answer without a token shows now, not when it is used
    return bearer


def make_secret(tool: ManifestTool, credential: Credential) -> Secret:
    """Return the secret in `credential`, and warn where it is older than it may be."""
    values, about = credential.values.get("data"), credential.values.get("metadata") or {}
    if not isinstance(values, Mapping):
        raise ToolUnavailableError(
            f"There is no secret for the tool {tool.name} in Vault.",
            hint="Its owner has to write it, or it was deleted.",
        )
    written = _read_time(about.get("created_time"))
    oldest = tool.connection.get("max_age_seconds")
    if written is not None and oldest and (datetime.now(UTC) - written).total_seconds() > float(oldest):
        logger.warning("agent.secret-too-old", tool=tool.name, written_at=written.isoformat(), max_age_seconds=oldest)
    return Secret({name: str(value) for name, value in values.items()}, int(about.get("version") or 0), written)


def make_certificate(tool: ManifestTool, credential: Credential) -> Certificate:
    """Return the certificate in `credential`; raise ToolUnavailableError where the answer is not complete."""
    chain = credential.values.get("ca_chain") or [credential.text("issuing_ca")]
    return Certificate(
        uri_san=tool.text("uri_san"),
        certificate_pem=credential.text("certificate"),
        chain_pem="\n".join(map(str, chain)),
        key_pem=credential.text("private_key"),
        credential=credential,
    )


def read_lifetime(tool: ManifestTool, answer: Mapping[str, Any]) -> float:
    """Return for how many seconds the credential in Vault's `answer` serves, by Vault's clock and not by ours."""
    data = answer.get("data") or {}
    if tool.backend == "bearer":
        return float(data.get("ttl") or 0)
    if tool.backend == "kv":
        return SECRET_SECONDS
    if tool.backend == "pki":
        return _read_validity(str(data.get("certificate") or ""))
    return float(answer.get("lease_duration") or 0)


# Vault dates a certificate's beginning so far back, for clocks that are late.
BACKDATED_SECONDS = 30


def _read_validity(certificate_pem: str) -> float:
    from cryptography import x509  # 40 ms, and not every agent has a certificate

    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
    except ValueError:
        return 0.0
    whole = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return max(0.0, whole.total_seconds() - BACKDATED_SECONDS)


def _read_time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None
