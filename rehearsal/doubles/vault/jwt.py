"""JWT logins: `vault.jwt.AuthBackend` and `vault.jwt.AuthBackendRole`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rehearsal.doubles.vault.mounts import AUTH, ConfiguredMount, configured_mount
from rehearsal.doubles.vault.settings import Fields, Translation, api_name, settings_type
from rehearsal.doubles.vault.tokens import TOKEN_FIELDS, TOKEN_LISTS

if TYPE_CHECKING:
    from rehearsal.doubles.resource import ResourceType
    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values


def split_claims(claims: dict[str, str]) -> dict[str, Any]:
    """Return bound claims as the API takes them: a text with commas stands for any of several values."""
    return {claim: value.split(",") if "," in value else value for claim, value in claims.items()}


def join_claims(claims: dict[str, Any] | None) -> dict[str, str]:
    """Return bound claims as a program writes them."""
    return {claim: ",".join(value) if isinstance(value, list) else value for claim, value in (claims or {}).items()}


def same_keys(one: list[str], other: list[str]) -> bool:
    """Say whether two lists hold the same PEM keys: the server strips what is around them and keeps no order."""
    return sorted(key.strip() for key in one) == sorted(key.strip() for key in other)


# Write-only: sent when the mount is made or the version changes, and in no answer.
SECRET_ONCE: Final = "oidcClientSecretWo"  # noqa: S105 -- a property's name
SECRET_VERSION: Final = "oidcClientSecretWoVersion"  # noqa: S105 -- as above


@dataclass(frozen=True, slots=True)
class JwtFields(Fields):
    """The fields of a JWT mount, whose client secret is written once for each version."""

    def encode(self, old: Values, new: Values) -> Values:
        """Return what to write."""
        data = Fields.encode(self, old, new)
        for name in (SECRET_ONCE, SECRET_VERSION):
            data.pop(api_name(name), None)
        if SECRET_ONCE in new and old.get(SECRET_VERSION) != new.get(SECRET_VERSION):
            data["oidc_client_secret"] = new[SECRET_ONCE]
        return data


JWT_BACKEND: Final[ResourceType[Vault]] = configured_mount(
    ConfiguredMount(
        AUTH,
        "auth/{path}/config",
        kind="jwt",
        fields=JwtFields(
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
                SECRET_ONCE: "",
                SECRET_VERSION: 0,
                "oidcDiscoveryCaPem": "",
                "oidcDiscoveryUrl": "",
                "oidcResponseMode": "",
                "oidcResponseTypes": [],
                "providerConfig": {},
            }
        ),
    ),
    defaults={"path": "jwt", "type": "jwt"},
    secrets=frozenset({"oidcClientSecret", SECRET_ONCE}),
    provider_only=frozenset({"disableRemount"}),
    equal={"jwtValidationPubkeys": same_keys, SECRET_ONCE: lambda _one, _other: True},
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
