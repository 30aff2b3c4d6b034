"""Gives a boto3 session whose credentials come from Vault and refresh themselves before they end.

It must not read the user's own AWS files, profile or endpoint variables: region, endpoint and credentials come from
the manifest and Vault alone.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials

# A third of a session's life is left when the first caller refreshes; all callers wait when a twentieth is left.
ADVISORY_SHARE, MANDATORY_SHARE = 3, 20
CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 3


class VaultCredentialProvider(CredentialProvider):
    """Botocore's one source of credentials here: `fetch` returns what botocore calls metadata (keys and expiry)."""

    METHOD = "narrowgate"
    CANONICAL_NAME = "narrowgate"

    def __init__(self, fetch: Callable[[], Mapping[str, str]], ttl_seconds: int) -> None:
        super().__init__()
        self._fetch = fetch
        self._ttl_seconds = ttl_seconds

    def load(self) -> Credentials:
        """Return credentials that fetch themselves anew."""
        return RefreshableCredentials.create_from_metadata(
            metadata=dict(self._fetch()),
            refresh_using=self._fetch,
            method=self.METHOD,
            advisory_timeout=self._ttl_seconds // ADVISORY_SHARE,
            mandatory_timeout=self._ttl_seconds // MANDATORY_SHARE,
        )


class AgentSession(boto3.Session):
    """A boto3 session whose clients use the manifest's endpoint, where it names one."""

    def __init__(self, botocore_session: botocore.session.Session, endpoint_url: str | None) -> None:
        super().__init__(botocore_session=botocore_session)
        self._endpoint_url = endpoint_url

    def client(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the stubs list every service
        """Return a client of a service, as boto3's own method does."""
        kwargs.setdefault("endpoint_url", self._endpoint_url)
        return super().client(*args, **kwargs)

    def resource(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as above
        """Return a resource of a service, as boto3's own method does."""
        kwargs.setdefault("endpoint_url", self._endpoint_url)
        return super().resource(*args, **kwargs)


def open_session(
    fetch: Callable[[], Mapping[str, str]], *, region: str, endpoint_url: str | None, ttl_seconds: int
) -> AgentSession:
    """Return a session in `region`; `fetch` is called at once, and again before `ttl_seconds` are over."""
    nowhere = (None, None, os.devnull, None)
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nowhere,
            "credentials_file": nowhere,
        }
    )
    session.set_config_variable("region", region)
    session.set_default_client_config(
        Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
            ignore_configured_endpoint_urls=True,  # type: ignore[call-arg]  # botocore has it, its stubs do not
            # an endpoint of one's own has one name for all buckets
            s3={"addressing_style": "path"} if endpoint_url else None,
        )
    )
    session.register_component("credential_provider", CredentialResolver([VaultCredentialProvider(fetch, ttl_seconds)]))
    session.get_credentials()  # a refusal shows here, not inside the first call to AWS
    return AgentSession(session, endpoint_url)
