"""The table of the Vault double: tokens and settings."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import hvac
import requests

from rehearsal.doubles.provider import Package
from rehearsal.doubles.vault.client import Vault, connect
from rehearsal.doubles.vault.engines import AWS_BACKEND, AWS_ROLE, DATABASE_CONNECTION, DATABASE_ROLE, KV_SETTINGS
from rehearsal.doubles.vault.generic import ENDPOINT, SECRET
from rehearsal.doubles.vault.groups import GROUP, GROUP_ALIAS
from rehearsal.doubles.vault.identity import OIDC, OIDC_KEY, OIDC_ROLE
from rehearsal.doubles.vault.jwt import JWT_BACKEND, JWT_ROLE
from rehearsal.doubles.vault.logins import (
    APPROLE_ROLE,
    AUTH_BACKEND,
    AWS_CLIENT,
    AWS_LOGIN_ROLE,
    KUBERNETES_CONFIG,
    KUBERNETES_ROLE,
)
from rehearsal.doubles.vault.mounts import MOUNT
from rehearsal.doubles.vault.pki import PKI_ROLE, PKI_ROOT
from rehearsal.doubles.vault.policy import POLICY

PACKAGE: Final[Package[Vault]] = Package(
    name="vault",
    version=version("pulumi-vault"),
    text_settings=frozenset({"address", "caCertFile", "namespace", "token", "version"}),
    # A child token limits how long the real provider's own token lives; the double uses the token as it is.
    json_settings=frozenset({"maxLeaseTtlSeconds", "maxRetries", "skipChildToken", "skipTlsVerify"}),
    types={
        "vault:appRole/authBackendRole:AuthBackendRole": APPROLE_ROLE,
        "vault:aws/authBackendClient:AuthBackendClient": AWS_CLIENT,
        "vault:aws/authBackendRole:AuthBackendRole": AWS_LOGIN_ROLE,
        "vault:aws/secretBackend:SecretBackend": AWS_BACKEND,
        "vault:aws/secretBackendRole:SecretBackendRole": AWS_ROLE,
        "vault:database/secretBackendConnection:SecretBackendConnection": DATABASE_CONNECTION,
        "vault:database/secretBackendRole:SecretBackendRole": DATABASE_ROLE,
        "vault:generic/endpoint:Endpoint": ENDPOINT,
        "vault:generic/secret:Secret": SECRET,
        "vault:identity/group:Group": GROUP,
        "vault:identity/groupAlias:GroupAlias": GROUP_ALIAS,
        "vault:identity/oidc:Oidc": OIDC,
        "vault:identity/oidcKey:OidcKey": OIDC_KEY,
        "vault:identity/oidcRole:OidcRole": OIDC_ROLE,
        "vault:index/authBackend:AuthBackend": AUTH_BACKEND,
        "vault:index/mount:Mount": MOUNT,
        "vault:index/policy:Policy": POLICY,
        "vault:jwt/authBackend:AuthBackend": JWT_BACKEND,
        "vault:jwt/authBackendRole:AuthBackendRole": JWT_ROLE,
        "vault:kubernetes/authBackendConfig:AuthBackendConfig": KUBERNETES_CONFIG,
        "vault:kubernetes/authBackendRole:AuthBackendRole": KUBERNETES_ROLE,
        "vault:kv/secretBackendV2:SecretBackendV2": KV_SETTINGS,
        "vault:pkiSecret/secretBackendRole:SecretBackendRole": PKI_ROLE,
        "vault:pkiSecret/secretBackendRootCert:SecretBackendRootCert": PKI_ROOT,
    },
    functions={},
    connect=connect,
    errors=(hvac.exceptions.VaultError, requests.RequestException),
)
