"""Configurations for OpenBao Agent and Vault Agent: none is written that could not log in."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_vault import MANIFEST

from narrowgate.runtime import read_manifest
from narrowgate.runtime.clients.agent_config import LoginNotKeptError, render_agent_config

FOLDER, TOKEN_FILE = Path("/somewhere"), Path("/somewhere/token")


@pytest.mark.parametrize("identity", ["approle", "aws", "kubernetes"])
def test_a_login_that_is_no_token_in_a_file_is_refused(identity: str) -> None:
    manifest = read_manifest({**MANIFEST, "login": {**MANIFEST["login"], "identity": identity}})
    with pytest.raises(LoginNotKeptError, match=identity):
        render_agent_config(manifest, [], folder=FOLDER, token_file=TOKEN_FILE)


def test_a_token_in_a_file_is_what_the_agent_logs_in_with() -> None:
    files = render_agent_config(read_manifest(MANIFEST), [], folder=FOLDER, token_file=TOKEN_FILE)
    assert 'method "jwt"' in files["agent.hcl"]
    assert str(TOKEN_FILE) in files["agent.hcl"]
