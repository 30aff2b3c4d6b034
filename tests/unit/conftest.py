"""Fixtures of the unit tests: a scripted Vault in place of every HTTP request, and a clock that a test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests
import stamina
from scripted_vault import Clock, Vault

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    server = Vault()
    monkeypatch.setattr(requests.Session, "request", lambda _, method, url, **more: server.request(method, url, **more))
    monkeypatch.setenv("VAULT_TOKEN", "hvs.somebody-elses")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with stamina.set_testing(testing=True, attempts=3):
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("narrowgate.runtime.clock.read", moved)
    return moved
