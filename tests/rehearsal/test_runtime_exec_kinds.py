"""`narrowgate exec` gives any command a signed token, a stored key or a client certificate, and takes it back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from backend_agents import NIGHTLY, wrap_secret_id
from cryptography import x509
from test_agent_backends import LEDGER, RATES, SPIFFE_ID, verify

if TYPE_CHECKING:
    from rehearsal.live import LiveRehearsal

NARROWGATE = str(Path(sys.executable).with_name("narrowgate"))
VALUE = "a-key-for-a-command"
# What the command sees: its variables, and the files that they name.
SHOW = """
import json, os, pathlib
own = {name: value for name, value in os.environ.items() if name.startswith("NARROWGATE_")}
files = {name: pathlib.Path(path).read_text() for name, path in own.items() if name.endswith("_FILE")}
print(json.dumps({"own": own, "files": files, "token": "VAULT_TOKEN" in os.environ}))
"""


def run_with(rehearsal: LiveRehearsal, folder: Path, tool: str) -> dict[str, Any]:
    """Run a command as the nightly agent with the credentials of `tool`, and return what it saw."""
    login = folder / "login"
    login.write_text(wrap_secret_id(rehearsal), encoding="utf-8")
    options = ("--manifest", str(rehearsal.manifest(NIGHTLY)), "--token-file", str(login), "-w", NIGHTLY, "-t", tool)
    done = subprocess.run(
        [NARROWGATE, "exec", *options, "--", sys.executable, "-c", SHOW],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["token"] is False
    assert not [path for name, path in seen["own"].items() if name.endswith("_FILE") and Path(path).exists()]
    return seen


def test_a_command_gets_a_signed_token(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    seen = run_with(rehearsal, tmp_path, "payments")
    assert verify(rehearsal, seen["own"]["NARROWGATE_BEARER"])["workflow"] == NIGHTLY
    assert seen["files"]["NARROWGATE_BEARER_FILE"].strip() == seen["own"]["NARROWGATE_BEARER"]
    assert seen["own"]["NARROWGATE_AUDIENCE"] == "https://payments.dev.example.com"


def test_a_command_gets_a_stored_key(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    vault = rehearsal.vault()
    version = vault.read(RATES.replace("/data/", "/metadata/"))["data"]["current_version"]
    vault.write_data(RATES, data={"data": {"key": VALUE}, "options": {"cas": version}})
    seen = run_with(rehearsal, tmp_path, "exchange-rates")
    assert seen["own"]["NARROWGATE_SECRET_KEY"] == VALUE
    assert json.loads(seen["files"]["NARROWGATE_SECRET_FILE"]) == {"key": VALUE}


@pytest.mark.parametrize("tool", [LEDGER.rpartition(".")[2]])
def test_a_command_gets_a_client_certificate(rehearsal: LiveRehearsal, tmp_path: Path, tool: str) -> None:
    pem = run_with(rehearsal, tmp_path, tool)["files"]["NARROWGATE_CERTIFICATE_FILE"]
    assert "PRIVATE KEY" in pem
    certificate = x509.load_pem_x509_certificates(pem.encode())[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [SPIFFE_ID]
