"""Files from which libpq (psql, and every driver that is built on it) takes a tool's login: a service and a passfile.

https://www.postgresql.org/docs/current/libpq-pgservice.html, libpq-pgpass.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.runtime.clients.private_files import PrivateFileError, open_folder, write_file
from narrowgate.runtime.postgres import connection_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.runtime.agent import Agent

SERVICE_FILE, PASSWORD_FILE = "pg_service.conf", "passfile"
# Never written: the password stands in the passfile, and an empty value means libpq's default.
NOT_IN_SERVICE = ("password",)


def write_postgres_files(agent: Agent, tool: str, folder: Path) -> dict[str, str]:
    """Write both files for `tool` into `folder` and return the variables that make libpq use them.

    The service is called like the tool. Raises PrivateFileError, and as `Agent.credential` does.
    """
    folder = open_folder(folder)
    declared, login = agent.database_login(tool)
    parameters = connection_parameters(declared, login, agent.manifest.workflow)
    passfile = folder / PASSWORD_FILE
    keys = ("host", "port", "dbname", "user", "password")
    write_file(passfile, ":".join(_escape(str(parameters[key])) for key in keys) + "\n")
    lines = [f"{name}={value}" for name, value in parameters.items() if name not in NOT_IN_SERVICE and value != ""]
    if any("\n" in line for line in lines) or "\n" in str(passfile):
        raise PrivateFileError(f"The connection of the tool {tool} has a line break in it.")
    service = write_file(folder / SERVICE_FILE, "\n".join([f"[{tool}]", *lines, f"passfile={passfile}", ""]))
    return {"PGSERVICEFILE": str(service), "PGSERVICE": tool}


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")
