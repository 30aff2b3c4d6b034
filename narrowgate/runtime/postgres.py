"""Opens PostgreSQL connections with logins that Vault made a moment ago.

psycopg is imported only here and only when needed, since an agent without a PostgreSQL tool need not install it.
Every parameter is set, so that libpq's environment (PGHOST, PGPASSWORD, PGSERVICE, …) decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate.runtime.errors import AgentError, ToolUnavailableError, redact

if TYPE_CHECKING:
    import psycopg

    from narrowgate.runtime.credential import Credential
    from narrowgate.runtime.manifest import ManifestTool

CONNECT_SECONDS = 5
KEEPALIVE_SECONDS = 30


class MissingDriverError(AgentError):
    """The agent uses a PostgreSQL tool, and psycopg is not installed."""

    code = "driver-missing"
    hint = "Install narrowgate[postgres]."


class DatabaseLoginRefusedError(ToolUnavailableError):
    """The server was reached and did not take the login: it was revoked, or its time is over."""

    code = "database-login-refused"


def open_connection(tool: ManifestTool, login: Credential, workflow: str) -> psycopg.Connection:
    """Return an open connection to the database behind `tool`.

    TLS must verify the server by the system's CAs (`verify-full`) unless the manifest's `sslmode` says otherwise.

    Raises:
        DatabaseLoginRefusedError: the server does not take the login.
        ToolUnavailableError: the server cannot be reached.
        MissingDriverError: psycopg is not installed.

    """
    driver = _load_driver()
    parameters = connection_parameters(tool, login, workflow)
    try:
        connection: psycopg.Connection = driver.connect(**parameters)
    except driver.Error as error:
        raise _explain(error, parameters) from None
    return connection


async def open_async_connection(tool: ManifestTool, login: Credential, workflow: str) -> psycopg.AsyncConnection:
    """Return an open asyncio connection; the rest is as `open_connection` says."""
    driver = _load_driver()
    parameters = connection_parameters(tool, login, workflow)
    try:
        connection: psycopg.AsyncConnection = await driver.AsyncConnection.connect(**parameters)
    except driver.Error as error:
        raise _explain(error, parameters) from None
    return connection


def connection_parameters(tool: ManifestTool, login: Credential, workflow: str) -> dict[str, Any]:
    """Return libpq's parameters by name; what the manifest does not say is set too, so that no variable decides it."""
    mode = tool.connection.get("sslmode") or "verify-full"
    return {
        "host": tool.text("host"),
        "port": int(tool.text("port")),
        "dbname": tool.text("database"),
        "user": login.text("username"),
        "password": login.text("password"),
        "sslmode": mode,
        "sslrootcert": "system" if mode == "verify-full" else "",
        "application_name": f"narrowgate {workflow}",
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": KEEPALIVE_SECONDS,
        "options": "",
    }


def _load_driver() -> Any:  # noqa: ANN401 - a module
    try:
        import psycopg
    except ImportError:
        raise MissingDriverError("psycopg is not installed, and this tool is a PostgreSQL database.") from None
    return psycopg


def _explain(error: psycopg.Error, parameters: dict[str, Any]) -> ToolUnavailableError:
    """Return what the driver's error means; a server that asked for the password was reached."""
    reason = redact(" ".join(str(error).split()), (parameters["password"], parameters["user"]))
    place = f"{parameters['dbname']} at {parameters['host']}:{parameters['port']}"
    asked = error.pgconn is not None and error.pgconn.used_password
    kind = DatabaseLoginRefusedError if asked else ToolUnavailableError
    return kind(f"PostgreSQL {place} took no connection: {reason}")
