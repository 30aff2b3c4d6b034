"""JWT logins: `vault.jwt.AuthBackend` and `vault.jwt.AuthBackendRole`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.vault.mounts import AUTH, ConfiguredMount, configured_mount
from rehearsal.doubles.vault.settings import Fields, Translation, settings_type
from rehearsal.doubles.vault.tokens import TOKEN_FIELDS, TOKEN_LISTS

if TYPE_CHECKING:
    from rehearsal.doubles.resource import ResourceType
    from rehearsal.doubles.vault.client import Vault


def split_claims(claims: dict[str, str]) -> dict[str, Any]:
    """Return bound claims as the API takes them: a text with commas stands for any of several values."""
    return {claim: value.split(",") if "," in value else value for claim, value in claims.items()}


def join_claims(claims: dict[str, Any] | None) -> dict[str, str]:
    """Return bound claims as a program writes them."""
    return {claim: ",".join(value) if isinstance(value, list) else value for claim, value in (claims or {}).items()}


def same_keys(one: list[str], other: list[str]) -> bool:
    """Say whether two lists hold the same PEM keys: the server strips what is around them and keeps no order."""
    return sorted(key.strip() for key in one) == sorted(key.strip() for key in other)


JWT_BACKEND: Final[ResourceType[Vault]] = configured_mount(
    ConfiguredMount(
        AUTH,
        "auth/{path}/config",
        kind="jwt",
        fields=Fields(
            {
                "boundIssuer": "",
                "defaultRole": "",
                "jwksCaPem": "",
                "jwksUrl": "",
                "jwtSupportedAlgs": [],
                "jwtValidationPubkeys": [],
                "namespaceInState": True,
                "oidcClientId": "",
                "oidcClientSecret": "",
                "oidcDiscoveryCaPem": "",
                "oidcDiscoveryUrl": "",
                "oidcResponseMode": "",
                "oidcResponseTypes": [],
                "providerConfig": {},
            }
        ),
    ),
    defaults={"path": "jwt", "type": "jwt"},
    secrets=frozenset({"oidcClientSecret"}),
    provider_only=frozenset({"disableRemount"}),
    equal={"jwtValidationPubkeys": same_keys},
)
JWT_ROLE: Final[ResourceType[Vault]] = settings_type(
    "auth/{backend}/role/{roleName}",
    Fields(
        {
            "allowedRedirectUris": [],
            "boundAudiences": [],
            "boundClaims": {},
            "boundClaimsType": "string",
            "boundSubject": "",
            "claimMappings": {},
            "clockSkewLeeway": 0,
            "expirationLeeway": 0,
            "groupsClaim": "",
            "maxAge": 0,
            "notBeforeLeeway": 0,
            "oidcScopes": [],
            "roleType": "oidc",
            **TOKEN_FIELDS,
            "userClaim": "",
            "userClaimJsonPointer": False,
            "verboseOidcLogging": False,
        },
        {"boundClaims": Translation("bound_claims", split_claims, join_claims)},
    ),
    required=frozenset({"userClaim"}),
    unordered=TOKEN_LISTS | {"boundAudiences", "oidcScopes", "allowedRedirectUris"},
    defaults={"backend": "jwt", "roleType": "oidc"},
)
