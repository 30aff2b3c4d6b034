"""The operator's surroundings: the variables with which plain `pulumi`, `bao`, `vault`, `aws`, `psql` just work.

`rehearsal env` prints them and deploys run in them, so both see the same. It must not start anything.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from rehearsal import aws, bao, idp, openid, postgres
from rehearsal.environments import describe
from rehearsal.errors import NotRunningError
from rehearsal.processes import base_environment
from rehearsal.pulumi_home import pulumi_environment
from rehearsal.state import LOOPBACK, get_port, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rehearsal.layout import EnvironmentLayout

# They would win over what is exported, or mean another account, Vault or database.
UNSET = (
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "BAO_NAMESPACE",
    "BAO_SKIP_VERIFY",
    "PGHOSTADDR",
    "PGOPTIONS",
    "PGPASSWORD",
    "PGSERVICE",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
    "VAULT_NAMESPACE",
    "VAULT_SKIP_VERIFY",
)
HEALTH: Mapping[str, Callable[[EnvironmentLayout], bool]] = {
    "aws": aws.is_ready,
    "postgres": postgres.is_ready,
    "openid": openid.is_ready,
    "bao": bao.is_active,
}


def require_running(layout: EnvironmentLayout) -> None:
    """Check that every server answers.

    Raises:
        NotRunningError: one does not; the error names all that don't.

    """
    down = [name for name, is_healthy in HEALTH.items() if not (knows(layout, name) and is_healthy(layout))]
    if down:
        raise NotRunningError(f"not running for {layout.environment}: {', '.join(down)}")
    if not (layout.project / "Pulumi.yaml").exists():
        raise NotRunningError(f"nothing is deployed to {layout.environment} yet")


def name_part(layout: EnvironmentLayout, server: str) -> str:
    """Return the name under which `server` is remembered and logs: the emulator is one for all environments."""
    return server if server == aws.NAME else layout.part(server)


def knows(layout: EnvironmentLayout, server: str) -> bool:
    """Return whether `server` was ever started, so that it has an address."""
    return name_part(layout, server) in read_state(layout).ports


def operator_environment(layout: EnvironmentLayout, *, path: str) -> dict[str, str]:
    """Return the operator's variables, with a fresh Vault login; `path` is the PATH to put the clients before.

    Raises:
        RehearsalError: a server is missing, or Vault refuses the operator.

    """
    token = bao.log_in_operator(layout)
    return {
        **_pulumi(layout),
        **_vault(layout, token),
        **_aws(layout),
        **_postgres(layout),
        "NARROWGATE_REHEARSAL_DIR": str(layout.root),
        "NARROWGATE_ENVIRONMENT": layout.environment,
        "NARROWGATE_GATE": str(layout.gate),
        "NARROWGATE_MANIFESTS": str(layout.manifests),
        "NARROWGATE_LEDGER": f"{layout.ledgers}/",
        "NARROWGATE_BROKER_PASSFILE": str(postgres.password_file(layout, postgres.BROKER)),
        "NARROWGATE_GATED_BROKER_FILE": str(layout.gated_broker_credentials),
        "NARROWGATE_OIDC_CLIENT_SECRET_FILE": str(idp.ensure_client_secret(layout)),
        "PATH": _put_first(path, str(layout.bin), str(layout.venv / "bin")),
        "NO_PROXY": _bypass_proxy(os.environ.get("NO_PROXY", "")),
        "no_proxy": _bypass_proxy(os.environ.get("no_proxy", "")),
    }


def deploy_environment(layout: EnvironmentLayout) -> dict[str, str]:
    """Return the environment in which the rehearsal itself deploys: the operator's, and nothing of the caller's own."""
    base = base_environment(layout)
    return {**base, **operator_environment(layout, path=base["PATH"]), "NO_PROXY": "*", "no_proxy": "*"}


def _pulumi(layout: EnvironmentLayout) -> dict[str, str]:
    return {
        **pulumi_environment(layout.pulumi_home, state=layout.pulumi_state, passphrase_file=layout.pulumi_passphrase),
        "PULUMI_OPTION_CWD": str(layout.project),
        "PULUMI_OPTION_POLICY_PACK": str(layout.policy_pack),
        "PULUMI_STACK": layout.stack,
        # the pack judges by the lock and the bindings of what is deployed here
        "NARROWGATE_STACKS": str(layout.stacks),
        "NARROWGATE_STACK_CONFIG_DIR": str(layout.project),
    }


def _vault(layout: EnvironmentLayout, token: str) -> dict[str, str]:
    values = {"ADDR": bao.get_address(layout), "CACERT": str(layout.ca_certificate), "TOKEN": token}
    return {f"{prefix}_{name}": value for prefix in ("VAULT", "BAO") for name, value in values.items()}


def _aws(layout: EnvironmentLayout) -> dict[str, str]:
    key = aws.read_operator_key(layout)
    return {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "AWS_DEFAULT_REGION": describe(layout).aws.region,
        "AWS_ENDPOINT_URL": aws.get_endpoint(layout),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": str(layout.operator_credentials),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _postgres(layout: EnvironmentLayout) -> dict[str, str]:
    return {
        "PGHOST": LOOPBACK,
        "PGPORT": str(get_port(layout, layout.part(postgres.NAME))),
        "PGDATABASE": postgres.DATABASE,
        "PGUSER": postgres.DEPLOYER,
        "PGPASSFILE": str(postgres.password_file(layout, postgres.DEPLOYER, postgres.SUPERUSER)),
        "PGSSLMODE": "disable",
    }


def _put_first(path: str, *folders: str) -> str:
    """Return `path` with `folders` before everything else, each of them once."""
    rest = [part for part in path.split(os.pathsep) if part not in folders]
    return os.pathsep.join([*folders, *rest])


def _bypass_proxy(value: str) -> str:
    """Return a NO_PROXY that leaves loopback out too."""
    parts = [part for part in value.split(",") if part]
    return ",".join(dict.fromkeys([*parts, LOOPBACK, "localhost"]))


def format_exports(variables: Mapping[str, str]) -> str:
    """Return shell lines that set `variables` and unset what would win over them."""
    lines = [f"unset {' '.join(UNSET)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    return "\n".join(lines) + "\n"
