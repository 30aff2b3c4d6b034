"""Identity tokens: the issuer, the key that signs, the role that says what is signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rehearsal.doubles.vault.settings import Fields, settings_type

if TYPE_CHECKING:
    from rehearsal.doubles.resource import ResourceType
    from rehearsal.doubles.vault.client import Vault

DAY_SECONDS: Final = 86400

OIDC: Final[ResourceType[Vault]] = settings_type("identity/oidc/config", Fields({"issuer": ""}), deletable=False)
OIDC_KEY: Final[ResourceType[Vault]] = settings_type(
    "identity/oidc/key/{name}",
    Fields(
        {
            "algorithm": "RS256",
            "allowedClientIds": [],
            "rotationPeriod": DAY_SECONDS,
            "verificationTtl": DAY_SECONDS,
        }
    ),
    unordered=frozenset({"allowedClientIds"}),
    defaults={"algorithm": "RS256", "rotationPeriod": DAY_SECONDS, "verificationTtl": DAY_SECONDS},
    id_place="name",
)
OIDC_ROLE: Final[ResourceType[Vault]] = settings_type(
    "identity/oidc/role/{name}",
    Fields({"clientId": "", "key": "", "template": "", "ttl": DAY_SECONDS}),
    required=frozenset({"key"}),
    defaults={"ttl": DAY_SECONDS},
    id_place="name",
)
