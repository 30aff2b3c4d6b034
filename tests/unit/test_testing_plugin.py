"""An agent under test meets the same errors as a deployed one, without any server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from loops import run_alone

from narrowgate.runtime import (
    AccessRefusedError,
    Agent,
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    NotDeclaredError,
    ProposalError,
    RevokedError,
    VaultSealedError,
    VaultUnavailableError,
    aio,
    login,
)
from narrowgate.testing import UnansweredCallError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.testing import FakeVault

pytest_plugins = ["pytester", "narrowgate.testing.plugin"]
STACKS = Path(__file__).resolve().parents[2] / "stacks"
WORKFLOW = "incident-summarization"


@pytest.fixture
def manifest(fake_vault: FakeVault) -> dict[str, Any]:
    return fake_vault.serve_declared(STACKS, "dev", WORKFLOW)


@pytest.fixture
def agent(manifest: dict[str, Any]) -> Iterator[Agent]:
    with login(manifest) as logged_in:
        yield logged_in


def test_what_is_declared_gets_fake_credentials(agent: Agent, fake_vault: FakeVault) -> None:
    keys = agent.aws("logs").get_credentials()
    assert keys is not None
    assert keys.access_key.startswith("FAKELOGS")
    assert agent.credential("incidents").text("username").startswith("fake-incidents-")
    assert fake_vault.issued == ["logs", "incidents"]


def test_what_is_not_declared_is_refused_as_when_deployed(agent: Agent) -> None:
    for ask in (lambda: agent.aws("billing"), lambda: agent.aws("logs", action="delete"), lambda: agent.secret("logs")):
        with pytest.raises(NotDeclaredError):
            ask()


def test_a_gated_action_is_refused(fake_vault: FakeVault) -> None:
    gated = {
        (workflow, tool, action)
        for workflow in ("vendor-onboarding", "ticket-drafting", WORKFLOW)
        for tool, known in fake_vault.serve_declared(STACKS, "dev", workflow)["tools"].items()
        for action, about in known["actions"].items()
        if about["gated"]
    }
    assert gated
    for workflow, tool, action in gated:
        manifest = fake_vault.serve_declared(STACKS, "dev", workflow)
        with login(manifest) as agent, pytest.raises(GatedActionError):
            agent.credential(tool, action=action)


def test_calls_of_aws_are_held_to_the_declared_actions(agent: Agent) -> None:
    logs = agent.aws("logs").client("logs")
    with Stubber(logs) as stub:
        stub.add_response("filter_log_events", {"events": []})
        assert logs.filter_log_events(logGroupName="/app/payments")["events"] == []
    with pytest.raises(UnansweredCallError):
        logs.filter_log_events(logGroupName="/app/payments")
    with pytest.raises(ClientError, match="AccessDenied"):
        logs.delete_log_group(logGroupName="/app/payments")
    with pytest.raises(ClientError, match="AccessDenied"):
        agent.aws("logs").client("s3").list_buckets()


def test_a_database_is_what_the_test_says(agent: Agent, fake_vault: FakeVault) -> None:
    with pytest.raises(UnansweredCallError):
        agent.postgres("incidents")

    class Connection(psycopg.Connection[Any]):
        def __init__(self) -> None:
            """Connect to nothing."""

        def close(self) -> None:
            """Close nothing."""

    opened = Connection()
    fake_vault.databases["incidents"] = lambda: opened
    assert agent.postgres("incidents") is opened


def test_time_passes_and_credentials_are_renewed(agent: Agent, fake_vault: FakeVault) -> None:
    first = agent.database_login("incidents")[1]
    assert agent.database_login("incidents")[1] is first
    fake_vault.pass_time(first.ttl_seconds - 1)
    assert agent.database_login("incidents")[1] is not first


def test_each_failure_has_the_error_of_the_runtime(agent: Agent, fake_vault: FakeVault) -> None:
    for happen, error in (
        (lambda: fake_vault.refuse("incidents"), AccessRefusedError),
        (fake_vault.seal, VaultSealedError),
        (fake_vault.cut, VaultUnavailableError),
        (fake_vault.revoke, RevokedError),
        (fake_vault.expire_logins, ExpiredError),
    ):
        happen()
        with pytest.raises(error) as caught:
            agent.credential("incidents")
        assert type(caught.value) is error
        fake_vault.recover()
    assert agent.credential("incidents").lease_id


def test_a_proposal_is_a_draft_of_the_test(fake_vault: FakeVault) -> None:
    manifest = fake_vault.serve_declared(STACKS, "dev", "vendor-onboarding")
    manifest["tools"]["vendors"]["actions"]["create"]["inputs"] = {"type": "object", "required": ["name"]}
    manifest["proposals"] = {"drafts": "drafts/data/vendor-onboarding", "answers": "answers/data/vendor-onboarding"}
    fake_vault.serve(manifest)
    with login(manifest) as agent:
        with pytest.raises(ProposalError):
            agent.propose("vendors.create", inputs={"name": "Acme"}, rationale=" ")
        with pytest.raises(ProposalError):
            agent.propose("vendors.create", inputs={}, rationale="why")
        with pytest.raises(NotDeclaredError):
            agent.propose("vendors.delete", inputs={}, rationale="why")
        assert fake_vault.drafts == {}
        agent.propose("vendors.create", inputs={"name": "Acme"}, rationale="why")
    (draft,) = fake_vault.drafts.values()
    assert (draft["action"], draft["inputs"]) == ("vendors.create", {"name": "Acme"})


def test_a_revoked_workflow_does_not_log_in(manifest: dict[str, Any], fake_vault: FakeVault) -> None:
    fake_vault.revoke()
    with pytest.raises(LoginRefusedError), login(manifest):
        pytest.fail("it logged in")


def test_asyncio_agents_are_held_too(manifest: dict[str, Any]) -> None:
    async def ask() -> None:
        async with aio.login(manifest) as agent:
            assert (await agent.credential("incidents")).lease_id
            with pytest.raises(NotDeclaredError):
                await agent.bearer("billing")

    run_alone(ask())


def test_it_is_a_plugin_for_a_project_of_ones_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["narrowgate.testing.plugin"]')
    pytester.makepyfile(f"""
        from pathlib import Path

        import narrowgate.runtime
        import pytest

        STACKS = Path({str(STACKS)!r})

        def summarize(manifest, tool):
            with narrowgate.runtime.login(manifest) as agent:
                return agent.aws(tool).get_credentials().access_key

        def test_it_uses_what_is_declared(fake_vault):
            manifest = fake_vault.serve_declared(STACKS, "dev", {WORKFLOW!r})
            assert summarize(manifest, "documents").startswith("FAKE")

        def test_it_uses_what_is_not(fake_vault):
            summarize(fake_vault.serve_declared(STACKS, "dev", {WORKFLOW!r}), "billing")
    """)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*NotDeclaredError: *declares no tool 'billing'*"])
