"""The table of the Vault double: tokens and settings."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import hvac
import requests

from rehearsal.doubles.provider import Package
from rehearsal.doubles.vault.client import Vault, connect
from rehearsal.doubles.vault.engines import AWS_BACKEND, AWS_ROLE, DATABASE_CONNECTION, DATABASE_ROLE
from rehearsal.doubles.vault.generic import ENDPOINT, SECRET
from rehearsal.doubles.vault.jwt import JWT_BACKEND, JWT_ROLE
from rehearsal.doubles.vault.mounts import MOUNT
from rehearsal.doubles.vault.policy import POLICY

PACKAGE: Final[Package[Vault]] = Package(
    name="vault",
    version=version("pulumi-vault"),
    text_settings=frozenset({"address", "caCertFile", "namespace", "token", "version"}),
    # A child token limits how long the real provider's own token lives; the double uses the token as it is.
    json_settings=frozenset({"maxLeaseTtlSeconds", "maxRetries", "skipChildToken", "skipTlsVerify"}),
    types={
        "vault:aws/secretBackend:SecretBackend": AWS_BACKEND,
        "vault:aws/secretBackendRole:SecretBackendRole": AWS_ROLE,
        "vault:database/secretBackendConnection:SecretBackendConnection": DATABASE_CONNECTION,
        "vault:database/secretBackendRole:SecretBackendRole": DATABASE_ROLE,
        "vault:generic/endpoint:Endpoint": ENDPOINT,
        "vault:generic/secret:Secret": SECRET,
        "vault:index/mount:Mount": MOUNT,
        "vault:index/policy:Policy": POLICY,
        "vault:jwt/authBackend:AuthBackend": JWT_BACKEND,
        "vault:jwt/authBackendRole:AuthBackendRole": JWT_ROLE,
    },
    functions={},
    connect=connect,
    errors=(hvac.exceptions.VaultError, requests.RequestException),
)
