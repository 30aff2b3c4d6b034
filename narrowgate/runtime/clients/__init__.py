"""Credentials for programs that know nothing of Narrowgate: the aws CLI, every AWS SDK, psql, whatever takes a token.

What such a program gets is what its kind already reads: variables, a file, a process to call. Secrets stand only in a
child's environment or in private files, never in an argument. Nothing here decides what is allowed: it asks an `Agent`.
"""

from narrowgate.runtime.clients.agent_config import render_agent_config
from narrowgate.runtime.clients.child import run_child
from narrowgate.runtime.clients.credential_process import render_credential_process
from narrowgate.runtime.clients.postgres_files import write_postgres_files

__all__ = ["render_agent_config", "render_credential_process", "run_child", "write_postgres_files"]
