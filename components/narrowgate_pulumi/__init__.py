"""Narrowgate's Pulumi components: they deploy the documents of `narrowgate.compile` with the real SDKs' classes.

They make no authorization decision. No component makes a provider, and no resource is made inside an apply.
"""

from narrowgate_pulumi.deployer import Deployer, DeployerArgs
from narrowgate_pulumi.environment import Environment, EnvironmentArgs
from narrowgate_pulumi.gated import GatedAction, GatedActionArgs
from narrowgate_pulumi.operator import Operator, OperatorArgs
from narrowgate_pulumi.postgres import PostgresAccess, PostgresAccessArgs
from narrowgate_pulumi.program import deploy_foundation, deploy_workflows, find_stack_config_dir, stop
from narrowgate_pulumi.tool import ToolAccess, ToolAccessArgs
from narrowgate_pulumi.trail import AuditTrail, AuditTrailArgs
from narrowgate_pulumi.workflow import AgentWorkflow, AgentWorkflowArgs

__all__ = [
    "AgentWorkflow",
    "AgentWorkflowArgs",
    "AuditTrail",
    "AuditTrailArgs",
    "Deployer",
    "DeployerArgs",
    "Environment",
    "EnvironmentArgs",
    "GatedAction",
    "GatedActionArgs",
    "Operator",
    "OperatorArgs",
    "PostgresAccess",
    "PostgresAccessArgs",
    "ToolAccess",
    "ToolAccessArgs",
    "deploy_foundation",
    "deploy_workflows",
    "find_stack_config_dir",
    "stop",
]
