"""Gives a boto3 session whose credentials come from Vault and refresh themselves before they end.

It must not read the user's own AWS files, profile or endpoint variables: region, endpoint and credentials come from
the manifest and Vault alone.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, RefreshableCredentials

from narrowgate.runtime import clock
from narrowgate.runtime.holding import FAILURES, PAUSE_SECONDS, renewal_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.credentials import Credentials, ReadOnlyCredentials

    from narrowgate.runtime.credential import Credential
    from narrowgate.runtime.errors import AgentError

# The first caller refreshes when botocore's advisory time begins; all callers wait when a twentieth is left.
MANDATORY_SHARE = 20
CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 3


class VaultCredentials(RefreshableCredentials):
    """Botocore's credentials, fetched from Vault; made by `open_credentials`, shared by sessions and threads."""

    def export(self) -> tuple[ReadOnlyCredentials, datetime]:
        """Return the keys, refreshed where that is due, and when they end at the latest, by the wall clock."""
        self.get_frozen_credentials()
        # botocore has both, its stubs do not
        left: timedelta = self._expiry_time - self._time_fetcher()  # type: ignore[attr-defined]
        # Read after the time: if another thread refreshed meanwhile, they last longer than we say, never shorter.
        return self.get_frozen_credentials(), datetime.now(UTC) + left


class VaultCredentialProvider(CredentialProvider):
    """Botocore's one source of credentials here."""

    METHOD = "narrowgate"
    CANONICAL_NAME = "narrowgate"

    def __init__(self, credentials: VaultCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        """Return credentials that fetch themselves anew."""
        return self._credentials


def open_credentials(issue: Callable[[], Credential]) -> VaultCredentials:
    """Return credentials that `issue` is asked for at once, and again before they end.

    Their time is measured by a clock that nobody sets: with a wall clock that is set back, botocore would go on with
    credentials that are over.
    """
    began, began_at = datetime.now(UTC), clock.read()

    def say_time() -> datetime:
        return began + timedelta(seconds=clock.read() - began_at)

    failed: list[tuple[float, AgentError]] = []

    def fetch() -> dict[str, str]:
        # botocore lets callers try one after the other, each of them would wait as long as the first
        if failed and clock.read() < failed[0][0]:
            raise failed[0][1]
        failed.clear()
        try:
            credential = issue()
        except FAILURES as error:
            failed.append((clock.read() + PAUSE_SECONDS, error))
            raise
        return {
            "access_key": credential.text("access_key"),
            "secret_key": credential.text("secret_key"),
            "token": credential.text("security_token"),
            "expiry_time": (say_time() + timedelta(seconds=credential.seconds_left)).isoformat(),
        }

    first = fetch()
    ends = datetime.fromisoformat(first["expiry_time"])
    ttl_seconds = (ends - say_time()).total_seconds()
    return VaultCredentials(
        access_key=first["access_key"],
        secret_key=first["secret_key"],
        token=first["token"],
        expiry_time=ends,
        refresh_using=fetch,
        method=VaultCredentialProvider.METHOD,
        time_fetcher=say_time,
        advisory_timeout=int(ttl_seconds - renewal_seconds(ttl_seconds)),
        mandatory_timeout=int(ttl_seconds / MANDATORY_SHARE),
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


def open_session(credentials: VaultCredentials, *, region: str, endpoint_url: str | None) -> AgentSession:
    """Return a session in `region` that has `credentials` and no others."""
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
    session.register_component("credential_provider", CredentialResolver([VaultCredentialProvider(credentials)]))
    return AgentSession(session, endpoint_url)
