"""What `stacks/__main__.py` calls: from the stack's own files to the components of one stack.

The only module here that reads configuration. It stops a program whose declarations have mistakes before it makes
anything, and says each mistake in one line with its place.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate.compile.trail import compile_trail
from narrowgate.control_groups import require_control_groups
from narrowgate.declarations import DeclarationErrors, stack_config_dir_of
from narrowgate.declarations.shards import WHOLE
from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.access_keys import read_access_key
from narrowgate_pulumi.deployer import Deployer
from narrowgate_pulumi.environment import Environment, EnvironmentArgs
from narrowgate_pulumi.gate import ClientSecret
from narrowgate_pulumi.operator import Operator
from narrowgate_pulumi.passwords import look_up_password, read_secret_file
from narrowgate_pulumi.texts import thaw
from narrowgate_pulumi.trail import AuditTrail, TrailMissingError
from narrowgate_pulumi.workflow import AgentWorkflow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate import plan
    from narrowgate.compile.documents import FoundationDocuments, PlanDocuments
    from narrowgate.declarations import Shard
    from narrowgate_pulumi.logins import LoginState

GATED_BROKER_VARIABLE = "NARROWGATE_GATED_BROKER_FILE"
PASSWORD_FILE_VARIABLE = "NARROWGATE_BROKER_PASSFILE"  # noqa: S105 - the name of a variable

CLIENT_SECRET_VARIABLE = "NARROWGATE_OIDC_CLIENT_SECRET_FILE"  # noqa: S105 - the name of a variable

SERVICES = ("cloudtrail", "cloudwatch", "iam", "kms", "logs", "s3", "sns", "sts")


def find_stack_config_dir() -> Path:
    """Return the folder of the `Pulumi.<stack>.yaml` files: `stackConfigDir` of the project's `Pulumi.yaml`."""
    return stack_config_dir_of(Path(pulumi.get_root_directory()))


def stop(error: NarrowgateError) -> pulumi.RunError:
    """Log what is wrong, one line for each mistake, and return what ends the program without a traceback."""
    mistakes = error.errors if isinstance(error, DeclarationErrors) else (error,)
    for mistake in mistakes:
        pulumi.log.error(str(mistake))
    count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
    return pulumi.RunError(f"Nothing is deployed: there {'are' if len(mistakes) > 1 else 'is'} {count} to mend first.")


def choose_providers(environment: plan.Environment) -> list[pulumi.ProviderResource]:
    """Return the providers of one environment: they refuse any account, and reach any address, but its own.

    Credentials come from the process's environment, as each provider reads them; none is an input here.
    """
    endpoint = environment.aws.endpoint_url
    services = [aws.ProviderEndpointArgs(**dict.fromkeys(SERVICES, endpoint))] if endpoint else None
    return [
        aws.Provider(
            "aws",
            region=environment.aws.region,
            allowed_account_ids=[environment.aws.account],
            endpoints=services,
            s3_use_path_style=True if endpoint else None,
        ),
        vault.Provider(
            "vault",
            address=environment.vault.address,
            namespace=environment.vault.namespace,
            # The login is short-lived by itself, and may not make tokens.
            skip_child_token=True,
        ),
    ]


def deploy_foundation(environment: plan.Environment, documents: FoundationDocuments) -> None:
    """Build the foundation of one environment; an administrator runs this stack, seldom."""
    passfile = os.environ.get(PASSWORD_FILE_VARIABLE)
    needless = "database" in documents.adopted and documents.approvals is None
    connections = () if needless else documents.database_connections
    if connections and not passfile:
        raise NarrowgateError(
            "Vault needs the password of its own database login, and no file gives it.",
            hint=f"name a libpq password file that holds it in {PASSWORD_FILE_VARIABLE}",
        )
    passwords = {
        str(connection["name"]): look_up_password(Path(str(passfile)), connection) for connection in connections
    }
    config = pulumi.Config("narrowgate")
    opts = pulumi.ResourceOptions(providers=choose_providers(environment))
    deploy_trail(environment, opts)
    arguments: EnvironmentArgs = {
        "environment": environment,
        "documents": documents,
        "passwords": passwords,
        "password_version": config.get_int("brokerPasswordVersion") or 1,
        "client_secret": _read_client_secret(documents, config.get_int("oidcClientSecretVersion") or 1),
        "gated_broker_version": config.get_int("gatedBrokerKeyVersion") or 1,
    }
    keys = os.environ.get(GATED_BROKER_VARIABLE)
    if keys and documents.approvals is not None and documents.approvals.aws_mount is not None:
        arguments["gated_broker"] = read_access_key(Path(keys))
    built = Environment(environment.name, arguments, opts=opts)
    if documents.deployer is not None:
        ci = Deployer(f"{environment.name}-ci", {"documents": documents.deployer}, opts=opts)
        pulumi.export("deployer", {"role_arn": ci.role_arn, "preview_role_arn": ci.preview_role_arn})
    if documents.operator is not None:
        operator = Operator(f"{environment.name}-people", {"documents": documents.operator}, opts=opts)
        pulumi.export("operator", {"role_arn": operator.role_arn, "auth_mount": operator.auth_mount})
    pulumi.export("boundary", built.boundary_arn)
    pulumi.export("connections", built.connections)


def _read_client_secret(documents: FoundationDocuments, version: int) -> ClientSecret | None:
    if documents.approvals is None or documents.approvals.page_login is None:
        return None
    file = os.environ.get(CLIENT_SECRET_VARIABLE)
    if not file:
        raise NarrowgateError(
            "Vault needs the secret of the approvers' page at the identity provider, and no file gives it.",
            hint=f"name a file that holds nothing else in {CLIENT_SECRET_VARIABLE}",
        )
    return ClientSecret(pulumi.Output.secret(read_secret_file(Path(file))), version)


def deploy_trail(environment: plan.Environment, opts: pulumi.ResourceOptions) -> None:
    """Build the environment's audit trail, or refer to the organization's.

    Raises:
        TrailMissingError: the environment declares neither.

    """
    if environment.trail is None:
        raise TrailMissingError(f"{environment.name} has no audit trail: nothing would witness what its agents do")
    trail = AuditTrail(
        f"{environment.name}-trail",
        {
            "documents": compile_trail(environment),
            "organization_trail_arn": environment.trail.organization_trail_arn,
        },
        opts=opts,
    )
    pulumi.export("trail", trail.trail_arn)


class Revocation(Protocol):
    """What an operator has revoked of one workflow, as `narrowgate.operations` keeps it on record."""

    @property
    def is_whole(self) -> bool:
        """Return whether the whole workflow is revoked."""

    @property
    def generation(self) -> int:
        """Return how often it was revoked so far."""


def deploy_workflows(
    documents: PlanDocuments, revocations: Mapping[str, Revocation] | None = None, shard: Shard = WHOLE
) -> None:
    """Build the workflows of one shard of an environment and export their manifests; the deployer runs it, daily.

    A workflow that `revocations` (by name) holds as wholly revoked is built without its login. The gate's description,
    which is the same in every shard, is exported where there is a gate.

    Raises:
        NarrowgateError: something is gated, and Vault has no control groups or can't be asked, in preview too.

    """
    if documents.gate is not None:
        require_control_groups(documents.environment.vault)
    known = revocations or {}
    opts = pulumi.ResourceOptions(providers=choose_providers(documents.environment))
    built = {
        workflow.access.name: AgentWorkflow(
            workflow.access.name, {"documents": workflow, **_login_state(known.get(workflow.access.name))}, opts=opts
        )
        for workflow in documents.workflows
        if shard.holds(workflow.access.name)
    }
    pulumi.export("manifests", {name: workflow.manifest for name, workflow in built.items()})
    if documents.gate is not None:
        pulumi.export("gate", thaw(documents.gate))


def _login_state(revocation: Revocation | None) -> LoginState:
    if revocation is None:
        return {}
    return {"revoked": revocation.is_whole, "generation": revocation.generation}
