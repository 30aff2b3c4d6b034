"""The Pulumi program: declarations to plan, within the access lock; plan to documents, documents to components.

`narrowgate:stack: foundation` is what an environment needs before any workflow; without it, all its workflows, or
those of one shard (`narrowgate:shard: 2/8`): the plan and the lock are always those of all.
"""

from pathlib import Path

import pulumi
from narrowgate_policies.transform import judge_every_resource
from narrowgate_pulumi import deploy_foundation, deploy_workflows, find_stack_config_dir, stop

from narrowgate.access.enforcement import enforce_lock
from narrowgate.access.lock import lock_file
from narrowgate.compile import compile_plan
from narrowgate.compile.foundation import compile_foundation
from narrowgate.declarations import load_environment, load_plan, load_shard, require_separation
from narrowgate.errors import NarrowgateError
from narrowgate.operations import read_revocations

STACKS = Path(__file__).resolve().parent

try:
    environment = load_environment(find_stack_config_dir(), pulumi.get_stack())
    shard = load_shard(find_stack_config_dir(), pulumi.get_stack())
    foreign = require_separation(environment, STACKS, find_stack_config_dir())
    judge_every_resource(environment, lock_file(STACKS, environment.name), foreign)
    if pulumi.Config("narrowgate").get("stack") == "foundation":
        deploy_foundation(environment, compile_foundation(environment))
    else:
        plan = load_plan(STACKS, environment)
        for warning in enforce_lock(plan, lock_file(STACKS, environment.name)):
            pulumi.log.warn(warning)
        deploy_workflows(compile_plan(plan), read_revocations(environment), shard)
except NarrowgateError as error:
    raise stop(error) from None
