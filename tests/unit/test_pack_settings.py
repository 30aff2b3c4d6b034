"""What the pack knows of the stack that it judges: a foundation and a shard have their environment's bindings too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pytest
from narrowgate_policies.configuration import read_settings

from narrowgate.access.locked import LockedDocuments
from narrowgate.declarations import load_environment
from narrowgate.declarations.checking import check_stacks
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Return a function that sets the stack's `narrowgate:environment`, as the engine hands it over."""

    def set_environment(text: str | None) -> None:
        monkeypatch.setattr(pulumi.Config, "get", lambda _, key: text if key == "environment" else None)

    return set_environment


def test_a_stack_that_names_its_environment_has_its_bindings(
    stacks: Path, configure: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NARROWGATE_STACK_CONFIG_DIR", str(stacks))
    configure("dev")
    settings = read_settings(stacks)
    environment = load_environment(stacks, "dev")
    assert settings.account == environment.aws.account
    assert settings.brokers == (environment.aws.broker_arn,)
    assert settings.environment == "dev"
    assert settings.max_session_seconds == environment.limits.max_session_seconds
    assert isinstance(settings.lock, LockedDocuments)


@pytest.mark.parametrize("text", [None, "", "nowhere", "{name: dev}", "../dev"])
def test_what_is_not_bound_is_refused_by_an_unreadable_lock(
    stacks: Path, configure: Callable[[str | None], None], monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    monkeypatch.setenv("NARROWGATE_STACK_CONFIG_DIR", str(stacks))
    configure(text)
    settings = read_settings(stacks)
    assert isinstance(settings.lock, NarrowgateError)
    assert settings.exceptions == ()


def test_a_login_is_capped_by_one_limit(stacks: Path, edit: Callable[[str, str, str], None]) -> None:
    workflow = "workflows/incident-summarization.yaml"
    edit(workflow, "session: {ttl: 15m, max_ttl: 1h}", "session: {ttl: 15m, max_ttl: 8h}")
    assert check_stacks(stacks, ["dev"]).errors == ()
    edit(workflow, "max_ttl: 8h", "max_ttl: 9h")
    (error,) = check_stacks(stacks, ["dev"]).errors
    assert "max_session" in str(error) or "8h" in str(error)
