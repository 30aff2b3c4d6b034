"""Logins to AWS by a token of an OIDC provider, as STS checks them: MiniStack reads the token but believes it.

Before MiniStack judges the role's trust policy, the token must be signed by the key of its issuer, be valid now, and be
for an audience of an OIDC provider that the account has. Real AWS fetches the issuer's keys; here a file names them.
This module must not decide whom a role trusts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import jwt

if TYPE_CHECKING:
    from collections.abc import Mapping

ACTION: Final = "AssumeRoleWithWebIdentity"
ALGORITHMS: Final = ("ES256", "RS256")
ISSUERS_VARIABLE: Final = "NARROWGATE_AWS_ISSUERS_FILE"


class WebIdentityError(Exception):
    """STS refuses the token; the text says why."""


def check_token(token: str, role_arn: str, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the claims of `token`, presented to assume `role_arn`; `keys` are the issuers' public keys (PEM).

    Raises:
        WebIdentityError: the token is not what the account's OIDC provider would accept.

    """
    try:
        issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
        providers = find_providers(role_arn, issuer)
        if issuer not in keys or not providers:
            raise WebIdentityError(f"the account has no OpenIDConnect provider for {issuer}")
        claims: dict[str, Any] = jwt.decode(
            token,
            keys[issuer],
            algorithms=list(ALGORITHMS),
            audience=providers,
            issuer=issuer,
            options={"require": ["exp", "iat", "iss", "sub", "aud"]},
        )
    except jwt.InvalidTokenError as error:
        raise WebIdentityError(f"the token is not valid: {error}") from error
    if not isinstance(claims["aud"], str):
        raise WebIdentityError("the token is for several audiences")
    return claims


def find_providers(role_arn: str, issuer: str) -> list[str]:
    """Return the audiences of the OIDC provider for `issuer` in the account of `role_arn`; none where there is none."""
    from ministack.services import iam

    parts = role_arn.split(":")
    if len(parts) < 6 or not issuer.startswith("https://"):  # noqa: PLR2004 - the parts of an ARN
        return []
    account = parts[4]
    arn = f"arn:aws:iam::{account}:oidc-provider/{issuer.removeprefix('https://').rstrip('/')}"
    found = iam._oidc_providers.get_scoped(account, None, arn)  # noqa: SLF001 - MiniStack has no public way to ask
    return list(found["ClientIDList"]) if found else []
