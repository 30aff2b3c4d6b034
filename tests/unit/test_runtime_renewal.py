"""What an agent holds over time, against a scripted Vault: renewed, asked for anew, shared by threads and tasks."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import requests
from loops import run_alone

from narrowgate.runtime import (
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    RevokedError,
    ToolUnavailableError,
    VaultUnavailableError,
    aio,
    login,
)

if TYPE_CHECKING:
    from pathlib import Path

from scripted_vault import JWT, MANIFEST, PASSWORD, TOKEN, Clock, Vault, errors


def test_the_token_is_renewed_before_it_ends(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        agent.credential("incidents")
        clock.ahead = 700
        agent.credential("incidents")
        assert vault.paths().count("auth/token/renew-self") == 1
        agent.credential("incidents")
        assert vault.paths().count("auth/token/renew-self") == 1


def test_a_callable_is_asked_again_when_the_whole_time_is_over(vault: Vault, clock: Clock) -> None:
    asked: list[int] = []

    def fresh() -> str:
        asked.append(1)
        return f"{JWT}{len(asked)}"

    path = "auth/agents/summaries/login"
    vault.answers[path] = [(200, vault.auth()), (200, vault.auth("hvs.the-second-token"))]
    with login(MANIFEST, fresh) as agent:
        clock.ahead = 1000
        agent.credential("incidents")
    assert len(asked) == 2
    tokens = [headers.get("X-Vault-Token") for _, path, headers, _ in vault.calls if path == "auth/token/revoke-self"]
    assert tokens == [TOKEN, "hvs.the-second-token"]


def test_an_over_login_by_a_text_is_expired(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        clock.ahead = 1000
        vault.answers["auth/agents/summaries/login"] = (400, errors("token is expired"))
        with pytest.raises(ExpiredError):
            agent.credential("incidents")


def test_aws_credentials_refresh_and_the_users_own_settings_do_not_count(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nothing-of-that-name")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEUSER")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with login(MANIFEST, JWT) as agent:
        session = agent.aws("logs")
        client = session.client("logs")
        assert client.meta.endpoint_url == "http://127.0.0.1:1"
        assert client.meta.region_name == "eu-central-1"
        credentials = session.get_credentials()
        assert credentials.get_frozen_credentials().access_key == "ASIA"
        vault.answers["narrowgate-aws/sts/summaries.logs"] = (
            200,
            vault.lease(access_key="ASIA2", secret_key="s2", security_token="t2"),
        )
        assert credentials.get_frozen_credentials().access_key == "ASIA"
        clock.ahead = 800
        assert credentials.get_frozen_credentials().access_key == "ASIA2"
    assert vault.paths().count("narrowgate-aws/sts/summaries.logs") == 2


def test_a_bearer_token_is_held_and_renewed_in_time(vault: Vault, clock: Clock) -> None:
    path = "identity/oidc/token/summaries.crm"
    with login(MANIFEST, JWT) as agent:
        bearer = agent.bearer("crm")
        assert (bearer.header, bearer.audience) == ("Bearer the-signed-token-1", "https://crm.test")
        request = requests.Request("GET", "https://crm.test", auth=bearer).prepare()
        assert request.headers["Authorization"] == "Bearer the-signed-token-1"
        assert agent.bearer("crm") is bearer
        clock.ahead = 250
        vault.answers[path] = (200, {"data": {"token": "the-signed-token-2", "ttl": 300}})
        assert agent.bearer("crm").token == "the-signed-token-2"
        assert bearer.seconds_left < 60
        vault.answers[path] = (200, {"data": {}})
        clock.ahead = 560
        with pytest.raises(ToolUnavailableError, match="without token"):
            agent.bearer("crm")


def test_a_secret_is_read_again_after_a_minute_and_said_to_be_too_old(
    vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), login(MANIFEST, JWT) as agent:
        assert agent.secret("pager")["key"] == PASSWORD
        with pytest.raises(KeyError, match="the secret has key"):
            agent.secret("pager")["password"]
        assert vault.paths().count("narrowgate-kv/data/pager/keys") == 1
        clock.ahead = 61
        assert agent.secret("pager").version == 3
        vault.answers["narrowgate-kv/data/pager/keys"] = (200, {"data": {"data": None, "metadata": {}}})
        clock.ahead = 130
        with pytest.raises(ToolUnavailableError, match="no secret"):
            agent.secret("pager")
    assert "agent.secret-too-old" in caplog.text
    assert PASSWORD not in caplog.text


GONE = (403, {"errors": ["permission denied; invalid token"]})


def test_an_unknown_token_is_followed_by_one_new_login(vault: Vault) -> None:
    path = "identity/oidc/token/summaries.crm"
    vault.answers[path] = [GONE, vault.answers[path]]
    vault.answers["auth/agents/summaries/login"] = [(200, vault.auth()), (200, vault.auth("hvs.the-second-token"))]
    with login(MANIFEST, lambda: JWT) as agent:
        assert agent.bearer("crm").token == "the-signed-token-1"
    assert [headers.get("X-Vault-Token") for _, called, headers, _ in vault.calls if called == path] == [
        TOKEN,
        "hvs.the-second-token",
    ]


def test_a_new_login_that_is_refused_says_that_somebody_stopped_the_agent(vault: Vault) -> None:
    with login(MANIFEST, lambda: JWT) as agent:
        vault.answers["identity/oidc/token/summaries.crm"] = GONE
        vault.answers["auth/agents/summaries/login"] = (400, errors("role is locked"))
        with pytest.raises(RevokedError, match=r"takes no new one.*role is locked"):
            agent.bearer("crm")
        with pytest.raises(LoginRefusedError, match="role is locked"):
            agent.bearer("crm")


def test_a_token_that_dies_again_and_again_ends_in_an_error(vault: Vault) -> None:
    vault.answers["identity/oidc/token/summaries.crm"] = GONE
    with login(MANIFEST, lambda: JWT) as agent, pytest.raises(RevokedError):
        agent.bearer("crm")
    assert vault.paths().count("auth/agents/summaries/login") == 2


def test_logins_made_by_an_old_token_end_with_it(vault: Vault) -> None:
    with login(MANIFEST, lambda: JWT) as agent:
        first = agent.database_login("incidents")[1]
        assert agent.database_login("incidents")[1] is first
        vault.answers["identity/oidc/token/summaries.crm"] = [GONE, vault.answers["identity/oidc/token/summaries.crm"]]
        agent.bearer("crm")
        assert agent.database_login("incidents")[1] is not first


def test_a_rate_limit_is_waited_for(vault: Vault) -> None:
    path = "identity/oidc/token/summaries.crm"
    vault.answers[path] = [(429, errors("request path: rate limit quota exceeded")), vault.answers[path]]
    with login(MANIFEST, JWT) as agent:
        assert agent.bearer("crm").token == "the-signed-token-1"
        vault.answers[path] = (429, errors("rate limit quota exceeded"))
        agent._holders.clear()  # noqa: SLF001 - as if it were over
        with pytest.raises(VaultUnavailableError, match="rate limit"):
            agent.bearer("crm")


def test_a_clock_that_is_ahead_is_said(vault: Vault) -> None:
    said = "error validating token: invalid issued at (iat) claim: token is not yet valid"
    vault.answers["auth/agents/summaries/login"] = (400, errors(said))
    with pytest.raises(LoginRefusedError) as caught, login(MANIFEST, JWT):
        pass
    assert "clock" in (caught.value.hint or "")


def test_what_outlives_the_process_is_left_to_its_own_end(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        agent.close(revoke=False)
    assert "auth/token/revoke-self" not in vault.paths()


def test_the_twin_for_asyncio_gives_the_same_and_ends_the_same(vault: Vault) -> None:
    async def use() -> None:
        async with aio.login(MANIFEST, JWT) as agent:
            first, second = await asyncio.gather(agent.bearer("crm"), agent.bearer("crm"))
            assert first is second is await agent.bearer("crm")
            assert (await agent.secret("pager"))["key"] == PASSWORD
            assert (await agent.credential("incidents")).values["username"] == "v-1"
            assert (await agent.aws("logs")).region_name == "eu-central-1"
            with pytest.raises(GatedActionError):
                await agent.postgres("payouts")

    run_alone(use())
    assert vault.paths().count("identity/oidc/token/summaries.crm") == 1
    assert vault.paths()[-1] == "auth/token/revoke-self"


def test_a_task_that_is_cancelled_while_it_logs_in_leaves_no_login(vault: Vault) -> None:
    started, goes_on = threading.Event(), threading.Event()

    def sign() -> str:
        started.set()
        assert goes_on.wait(10)
        return JWT

    async def use() -> None:
        async with aio.login(MANIFEST, sign):
            pytest.fail("it was cancelled")

    async def cancel() -> None:
        task = asyncio.create_task(use())
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        goes_on.set()
        await asyncio.to_thread(wait_for_revocation)

    def wait_for_revocation() -> None:
        deadline = time.monotonic() + 10
        while "auth/token/revoke-self" not in vault.paths():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    run_alone(asyncio.wait_for(cancel(), 10))


def test_several_threads_share_one_agent(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        clock.ahead = 700
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: agent.credential("incidents").values["username"], range(40)))
    assert found == ["v-1"] * 40
    assert vault.paths().count("auth/token/renew-self") == 1
