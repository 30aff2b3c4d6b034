"""Pure compilers: from the access plan to the documents that components deploy and rules judge.

Nothing here imports pulumi, hvac or boto3, reads files or talks to any system.
"""

from narrowgate.compile.errors import CompileError
from narrowgate.compile.plan_documents import compile_plan, compile_workflow

__all__ = ["CompileError", "compile_plan", "compile_workflow"]
