"""The Pulumi program: declarations to plan, plan to documents, documents to components.

`narrowgate:stack: foundation` is what an environment needs before any workflow; without it, all its workflows.
"""

from pathlib import Path

import pulumi
from narrowgate_pulumi import deploy_foundation, deploy_workflows, find_stack_config_dir, stop

from narrowgate.compile import compile_plan
from narrowgate.compile.foundation import compile_foundation
from narrowgate.declarations import load_environment, load_plan
from narrowgate.errors import NarrowgateError

STACKS = Path(__file__).resolve().parent

try:
    environment = load_environment(find_stack_config_dir(), pulumi.get_stack())
    if pulumi.Config("narrowgate").get("stack") == "foundation":
        deploy_foundation(environment, compile_foundation(environment))
    else:
        deploy_workflows(compile_plan(load_plan(STACKS, environment)))
except NarrowgateError as error:
    raise stop(error) from None
