"""The pytest plugin: the fixture `fake_vault` stands between an agent under test and everything outside of it.

It must replace the wire only: no check of the runtime is left out or made anew here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
import stamina
from botocore.exceptions import ClientError

import narrowgate.runtime.aws
import narrowgate.runtime.postgres
from narrowgate.audit.ledger.operations import iam_action, match_iam
from narrowgate.runtime import clock
from narrowgate.runtime.vault import VaultConnection
from narrowgate.testing.fake_vault import FakeVault, UnansweredCallError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import requests

    from narrowgate.runtime.credential import Credential
    from narrowgate.runtime.manifest import ManifestTool

FAKE_TOKEN: Final = "fake.identity.token"  # noqa: S105 - worth nothing anywhere


@pytest.fixture
def fake_vault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeVault]:
    """Give a Vault that enforces the manifests that the test serves; nothing leaves the process while it stands.

    The identity provider's token is in the file that NARROWGATE_TOKEN_FILE names; no ledger is written.
    """
    vault = FakeVault()
    _replace_wire(monkeypatch, vault)
    _replace_aws(monkeypatch, vault)
    _replace_postgres(monkeypatch, vault)
    token = tmp_path / "identity-token"
    token.write_text(FAKE_TOKEN, encoding="ascii")
    monkeypatch.setenv("NARROWGATE_TOKEN_FILE", str(token))
    monkeypatch.setenv("NARROWGATE_LEDGER", "off")
    with stamina.set_testing(testing=True, attempts=1):
        yield vault


def _replace_wire(monkeypatch: pytest.MonkeyPatch, vault: FakeVault) -> None:
    real_init, real_read = VaultConnection.__init__, clock.read

    def connect(connection: VaultConnection, address: str, **more: Any) -> None:  # noqa: ANN401 - as the real one
        real_init(connection, address, **more)

        def request(method: str, url: str, *, json: Mapping[str, Any] | None = None) -> requests.Response:
            return vault.answer(connection.token, method, url.removeprefix("/v1/"), json)

        monkeypatch.setattr(connection._adapter, "request", request)  # noqa: SLF001 - the one place where requests leave

    monkeypatch.setattr(VaultConnection, "__init__", connect)
    monkeypatch.setattr(clock, "read", lambda: real_read() + vault.seconds_passed)


def _replace_aws(monkeypatch: pytest.MonkeyPatch, vault: FakeVault) -> None:
    real = narrowgate.runtime.aws.open_session

    def open_session(credentials: Any, **more: Any) -> Any:  # noqa: ANN401 - as the one that it stands for
        session = real(credentials, **more)
        tool = vault.find_tool_of_key(str(credentials.access_key))
        if tool is None:
            raise UnansweredCallError("These AWS credentials are none of this test's.")

        def judge(model: Any, **_: Any) -> None:  # noqa: ANN401 - botocore has no types
            action = iam_action(str(model.service_model.signing_name), str(model.name))
            if not _is_granted(tool, action):
                message = f"the tool {tool.name} does not declare {action}"
                error = {"Error": {"Code": "AccessDeniedException", "Message": message}}
                raise ClientError(error, str(model.name))  # type: ignore[arg-type]  # the shape that AWS answers with

        def stop(request: Any, **_: Any) -> None:  # noqa: ANN401 - as above
            raise UnansweredCallError(
                f"The agent sent a request to {request.url.split('?')[0]}.",
                hint="Answer it: botocore.stub.Stubber(client), or a library that stands in for AWS.",
            )

        session.events.register("before-parameter-build", judge)
        session.events.register_last("before-send", stop)
        return session

    monkeypatch.setattr(narrowgate.runtime.aws, "open_session", open_session)


def _is_granted(tool: ManifestTool, action: str) -> bool:
    """Tell whether an action of `tool` that needs no approval grants the IAM action."""
    return any(match_iam(action, {name: known.grants}) for name, known in tool.actions.items() if not known.gated)


def _replace_postgres(monkeypatch: pytest.MonkeyPatch, vault: FakeVault) -> None:
    def open_connection(tool: ManifestTool, login: Credential, workflow: str) -> Any:  # noqa: ANN401, ARG001 - as above
        if tool.name not in vault.databases:
            raise UnansweredCallError(
                f"The agent opened the database behind {tool.name}.",
                hint=f"Say what it gets: fake_vault.databases[{tool.name!r}] = function.",
            )
        return vault.databases[tool.name]()

    monkeypatch.setattr(narrowgate.runtime.postgres, "open_connection", open_connection)
