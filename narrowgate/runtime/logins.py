"""How an agent proves who it is, by the kind of login that its workflow declares: what it sends to Vault, once.

jwt and kubernetes: a signed token. approle: a secret id that somebody handed over wrapped; it is unwrapped here, at the
last moment, and only where the wrapping says that it holds this workflow's secret id. aws: a signed request to STS that
only this Vault may send on; its credentials are the ones that the agent's own IAM role gives it, from botocore's chain.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from narrowgate.runtime.errors import AgentError, LoginRefusedError, ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.runtime.manifest import Manifest
    from narrowgate.runtime.vault import VaultConnection

STS_REQUEST = "Action=GetCallerIdentity&Version=2011-06-15"
SERVER_ID_HEADER = "X-Vault-AWS-IAM-Server-ID"


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """The body of a login, and which texts in it are secret. Its repr shows neither."""

    body: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def compose_login(connection: VaultConnection, manifest: Manifest, read_token: Callable[[], str]) -> LoginRequest:
    """Return what to send to the workflow's auth mount; `read_token` gives what the agent was handed, if it needs that.

    Raises:
        LoginRefusedError: there is nothing to log in with, or it is not what it should be.
        ManifestError: the manifest does not say what the login needs, or names a kind that this library does not know.
        VaultSealedError, VaultUnavailableError: Vault cannot answer.

    """
    compose = _COMPOSERS.get(manifest.identity)
    if compose is None:
        raise ManifestError(
            f"The manifest of {manifest.workflow} says that its agent logs in by {manifest.identity}, "
            "which this library does not know.",
            hint="Install a newer narrowgate.",
        )
    return compose(connection, manifest, read_token)


def _send_token(_: VaultConnection, manifest: Manifest, read_token: Callable[[], str]) -> LoginRequest:
    jwt = read_token()
    return LoginRequest({"role": manifest.auth_role, "jwt": jwt}, (jwt,))


def _unwrap_secret_id(connection: VaultConnection, manifest: Manifest, read_token: Callable[[], str]) -> LoginRequest:
    wrapping = read_token()
    expected = f"auth/{manifest.auth_mount}/role/{manifest.auth_role}/secret-id"

    def refuse(_: str) -> AgentError:
        return LoginRefusedError(
            f"Vault does not know the wrapping token of {manifest.workflow}: it was used before, or its time is over.",
            hint="If this agent did not use it, somebody else has the secret id: tell Vault's operator. Else ask for "
            "a new one.",
        )

    made_at = connection.look_up_wrapping(wrapping, refuse=refuse)
    if made_at != expected:
        raise LoginRefusedError(
            f"The wrapping token of {manifest.workflow} holds something else than its secret id: it was made at "
            f"{made_at}, not at {expected}.",
            hint="Somebody may have exchanged it on the way: tell Vault's operator.",
        )
    secret_id = str(connection.unwrap(wrapping, refuse=refuse).get("secret_id") or "")
    return LoginRequest({"role_id": manifest.login_text("role_id"), "secret_id": secret_id}, (wrapping, secret_id))


def _sign_for_sts(_: VaultConnection, manifest: Manifest, __: Callable[[], str]) -> LoginRequest:
    import botocore.session  # it takes 300 ms, and not every agent needs it
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = botocore.session.get_session().get_credentials()
    if credentials is None:
        raise LoginRefusedError(
            f"The agent of {manifest.workflow} logs in by its IAM role, and there are no AWS credentials here.",
            hint="Run it where its role's credentials are: on its instance, in its task, in its function.",
        )
    request: Any = AWSRequest(
        "POST",
        manifest.login_text("sts_endpoint") + "/",
        headers={
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            # Signed too: no other Vault takes this request.
            SERVER_ID_HEADER: manifest.login_text("server_id"),
        },
        data=STS_REQUEST,
    )
    SigV4Auth(credentials.get_frozen_credentials(), "sts", manifest.login_text("sts_region")).add_auth(request)
    headers = {name: [value] for name, value in request.headers.items()}
    body = {
        "role": manifest.auth_role,
        "iam_http_request_method": "POST",
        "iam_request_url": _encode(request.url),
        "iam_request_body": _encode(STS_REQUEST),
        "iam_request_headers": _encode(json.dumps(headers)),
    }
    return LoginRequest(body, (body["iam_request_headers"], request.headers["Authorization"]))


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


_COMPOSERS: Mapping[str, Callable[[VaultConnection, Manifest, Callable[[], str]], LoginRequest]] = {
    "approle": _unwrap_secret_id,
    "aws": _sign_for_sts,
    "jwt": _send_token,
    "kubernetes": _send_token,
}
