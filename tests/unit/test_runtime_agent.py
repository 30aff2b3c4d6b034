"""The agent's side, against a scripted Vault: what it sends, what each error says, what never shows."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import requests

from narrowgate.runtime import (
    AccessRefusedError,
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    ManifestError,
    NotDeclaredError,
    RevokedError,
    ToolUnavailableError,
    VaultSealedError,
    VaultUnavailableError,
    login,
    read_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

from scripted_vault import JWT, MANIFEST, PASSWORD, TOKEN, Vault, errors


def test_logs_in_with_its_jwt_and_ends_what_it_began(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        credential = agent.credential("incidents")
        assert credential.values["password"] == PASSWORD
        assert 890 < credential.seconds_left <= 900
    methods = [(method, path, headers.get("X-Vault-Token"), body) for method, path, headers, body in vault.calls]
    assert methods == [
        ("POST", "auth/agents/summaries/login", None, {"role": "agent", "jwt": JWT}),
        ("GET", "narrowgate-database/creds/summaries.incidents", TOKEN, None),
        ("POST", "auth/token/revoke-self", TOKEN, None),
    ]


def test_a_refusal_of_a_token_that_another_thread_replaced_is_no_refusal(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenBao may say no more of a dead token than that permission is denied."""
    path, second = "narrowgate-database/creds/summaries.incidents", f"{TOKEN}-2"
    answered = vault.answers[path]
    vault.answers["auth/agents/summaries/login"] = [(200, Vault.auth()), (200, Vault.auth(second))]
    ask = vault.request

    def replace(method: str, url: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - as requests has them
        if url.endswith("lookup-self") and agent._login._generation == 1:  # noqa: SLF001 - the other thread
            agent._login._log_in_again(1)  # noqa: SLF001 - as above
            vault.answers[path] = answered
        return ask(method, url, **arguments)

    vault.answers[path] = (403, errors("permission denied"))
    with login(MANIFEST, lambda: JWT) as agent:
        monkeypatch.setattr(vault, "request", replace)
        assert agent.credential("incidents").values["password"] == PASSWORD
    used = [headers.get("X-Vault-Token") for _, called, headers, _ in vault.calls if called == path]
    assert used == [TOKEN, second]


def test_logs_out_also_when_the_agents_code_fails(vault: Vault) -> None:
    with pytest.raises(ZeroDivisionError), login(MANIFEST, JWT):
        raise ZeroDivisionError
    assert vault.paths()[-1] == "auth/token/revoke-self"


def test_a_failing_log_out_is_a_warning_not_an_error(vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    vault.answers["auth/token/revoke-self"] = requests.ConnectionError(TOKEN)
    with caplog.at_level(logging.WARNING), login(MANIFEST, JWT):
        pass
    assert "agent.revoke-failed" in caplog.text
    assert TOKEN not in caplog.text


def test_after_the_block_nothing_is_had(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        pass
    before = len(vault.calls)
    with pytest.raises(ExpiredError, match="logged out"):
        agent.credential("incidents")
    assert len(vault.calls) == before


LOGIN_ANSWERS: dict[str, tuple[Any, type[Exception], int]] = {
    "the wrong group": ((400, errors('claim "/groups" does not match')), LoginRefusedError, 1),
    "no mount": ((403, errors("permission denied")), LoginRefusedError, 1),
    "an expired token": ((400, errors("error validating token: token is expired")), ExpiredError, 1),
    "a sealed vault": ((503, errors("Vault is sealed")), VaultSealedError, 3),
    "an inner error": ((500, errors("internal error")), ToolUnavailableError, 3),
    "nobody there": (requests.ConnectionError("refused"), VaultUnavailableError, 3),
    "no answer in time": (requests.ReadTimeout("slow"), VaultUnavailableError, 3),
    "another certificate": (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), VaultUnavailableError, 1),
    "a redirect": ((307, None), VaultUnavailableError, 1),
    "no token in the answer": ((200, {"auth": None}), VaultUnavailableError, 1),
    "no JSON": ((200, "text"), VaultUnavailableError, 1),
}


@pytest.mark.parametrize("answer", sorted(LOGIN_ANSWERS))
def test_each_refused_login_has_its_error_and_only_failures_are_tried_again(vault: Vault, answer: str) -> None:
    reply, kind, attempts = LOGIN_ANSWERS[answer]
    vault.answers["auth/agents/summaries/login"] = reply
    with pytest.raises(kind) as caught, login(MANIFEST, JWT):
        pass
    assert caught.type is kind
    assert vault.paths().count("auth/agents/summaries/login") == attempts
    assert caught.value.code != "agent-error"
    assert caught.value.hint


def test_a_passing_failure_is_not_seen(vault: Vault) -> None:
    path = "narrowgate-database/creds/summaries.incidents"
    vault.answers[path] = [requests.ConnectionError("x"), (503, errors("Vault is sealed")), vault.answers[path]]
    with login(MANIFEST, JWT) as agent:
        assert agent.credential("incidents").values["username"] == "v-1"


def test_a_revoked_token_is_told_from_an_undeployed_path(vault: Vault) -> None:
    path = "narrowgate-database/creds/summaries.incidents"
    with login(MANIFEST, JWT) as agent:
        vault.answers[path] = (403, errors("2 errors occurred: permission denied; invalid token"))
        with pytest.raises(RevokedError):
            agent.credential("incidents")
        vault.answers[path] = (403, errors("permission denied"))
        with pytest.raises(AccessRefusedError, match=r"creds/summaries\.incidents"):
            agent.credential("incidents")


def test_an_undeclared_or_gated_action_never_reaches_vault(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        before = len(vault.calls)
        for ask, kind in (
            (lambda: agent.aws("mail"), NotDeclaredError),
            (lambda: agent.postgres("incidents", action="delete"), NotDeclaredError),
            (lambda: agent.aws("incidents"), NotDeclaredError),
            (lambda: agent.postgres("incidents", action="close"), GatedActionError),
            (lambda: agent.postgres("payouts"), GatedActionError),
            (lambda: agent.credential("payouts", action="pay"), GatedActionError),
        ):
            with pytest.raises(kind) as caught:
                ask()
            assert caught.value.hint
        assert len(vault.calls) == before


def raise_everything(vault: Vault) -> Iterator[str]:
    """Provoke every error that holds an answer of Vault's or a database's, and yield all that a log would show."""
    path = "narrowgate-database/creds/summaries.incidents"
    replies: list[Any] = [
        (403, errors(f"permission denied for {TOKEN}")),
        (500, errors(f"could not use {TOKEN}")),
        (200, {"data": None, "lease_id": TOKEN}),
        requests.ConnectionError(f"headers: {TOKEN}"),
    ]
    attempts: list[Callable[[], Any]] = []
    with login(MANIFEST, JWT) as agent:
        attempts = [lambda: agent.credential("incidents")] * len(replies)
        for reply, attempt in zip(replies, attempts, strict=True):
            vault.answers[path] = reply
            with pytest.raises(Exception) as caught:  # noqa: PT011 - each kind is tested above
                attempt()
            yield "".join(traceback.format_exception(caught.value))
        vault.answers[path] = (200, vault.lease(username="v-1", password=PASSWORD))
        with pytest.raises(ToolUnavailableError) as refused:
            agent.postgres("incidents")
        yield "".join(traceback.format_exception(refused.value))
        yield f"{agent!r} {agent.credential('incidents')!r} {agent._login!r} {agent._login._connection!r}"  # noqa: SLF001 - what a debugger prints
    vault.answers["auth/agents/summaries/login"] = (400, errors(f"malformed jwt {JWT}"))
    with pytest.raises(LoginRefusedError) as login_refused, login(MANIFEST, JWT):
        pass
    yield "".join(traceback.format_exception(login_refused.value))


def test_no_secret_shows_anywhere(
    vault: Vault, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        shown = list(raise_everything(vault))
    printed = capsys.readouterr()
    text = "\n".join([*shown, caplog.text, printed.out, printed.err])
    assert len(shown) == 7
    assert [secret for secret in (JWT, TOKEN, PASSWORD, "the-users-token") if secret in text] == []
    assert printed.out == ""


BAD_MANIFESTS: dict[str, Any] = {
    "a newer version": {**MANIFEST, "version": 2},
    "no version": {key: value for key, value in MANIFEST.items() if key != "version"},
    "a version that is true": {**MANIFEST, "version": True},
    "no login": {key: value for key, value in MANIFEST.items() if key != "login"},
    "tools in a list": {**MANIFEST, "tools": ["incidents"]},
    "plain http": {**MANIFEST, "vault": {"address": "http://vault.test"}},
}


@pytest.mark.parametrize("kind", sorted(BAD_MANIFESTS))
def test_a_manifest_that_cannot_be_read_is_refused(kind: str) -> None:
    with pytest.raises(ManifestError):
        read_manifest(BAD_MANIFESTS[kind])


def test_a_manifest_comes_from_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NARROWGATE_MANIFEST", raising=False)
    with pytest.raises(ManifestError, match="no manifest"):
        read_manifest()
    file = tmp_path / "manifest.json"
    monkeypatch.setenv("NARROWGATE_MANIFEST", str(file))
    for content in (None, "{", "[]"):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ManifestError, match=r"manifest\.json"):
            read_manifest()
    file.write_text(json.dumps(MANIFEST))
    manifest = read_manifest()
    assert manifest.workflow == "summaries"
    assert manifest.tools["payouts"].path is None
    assert manifest.tools["incidents"].actions["close"].gated


def test_the_token_comes_from_the_file_that_the_environment_names(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NARROWGATE_TOKEN_FILE", raising=False)
    with pytest.raises(LoginRefusedError, match="no token"), login(MANIFEST):
        pass
    file = tmp_path / "token"
    monkeypatch.setenv("NARROWGATE_TOKEN_FILE", str(file))
    with pytest.raises(LoginRefusedError, match="cannot be read"), login(MANIFEST):
        pass
    file.write_text(f"{JWT}\n")
    with login(MANIFEST):
        pass
    assert vault.calls[0][3] == {"role": "agent", "jwt": JWT}
