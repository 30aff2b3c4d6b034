"""Declarations of workflows, tools and environments: strict, positioned, and turned into the access plan once.

Nothing here imports pulumi, hvac or boto3, or talks to any system.
"""

from narrowgate.declarations.environments import (
    find_environments,
    load_environment,
    read_environment,
    stack_config_dir_of,
)
from narrowgate.declarations.errors import DeclarationError, DeclarationErrors
from narrowgate.declarations.planning import Declarations, load_plan, read_declarations
from narrowgate.declarations.separation import require_separation
from narrowgate.declarations.shards import Shard, load_shard

__all__ = [
    "DeclarationError",
    "DeclarationErrors",
    "Declarations",
    "Shard",
    "find_environments",
    "load_environment",
    "load_plan",
    "load_shard",
    "read_declarations",
    "read_environment",
    "require_separation",
    "stack_config_dir_of",
]
