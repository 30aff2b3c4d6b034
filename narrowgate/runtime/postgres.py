"""Opens PostgreSQL connections with logins that Vault made a moment ago.

psycopg is imported only here and only when needed, since an agent without a PostgreSQL tool need not install it.
Every parameter is set, so that libpq's environment (PGHOST, PGPASSWORD, PGSERVICE, …) decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.runtime.errors import AgentError, ToolUnavailableError, redact

if TYPE_CHECKING:
    import psycopg

    from narrowgate.runtime.manifest import ManifestTool

CONNECT_SECONDS = 5
KEEPALIVE_SECONDS = 30


class MissingDriverError(AgentError):
    """The agent uses a PostgreSQL tool, and psycopg is not installed."""

    code = "driver-missing"
    hint = "Install narrowgate[postgres]."


def open_connection(tool: ManifestTool, *, user: str, password: str, application: str) -> psycopg.Connection:
    """Return an open connection to the database behind `tool`.

    TLS must verify the server by the system's CAs (`verify-full`) unless the manifest's `sslmode` says otherwise.

    Raises:
        ToolUnavailableError: the server cannot be reached, or does not take the login.
        MissingDriverError: psycopg is not installed.

    """
    try:
        import psycopg
    except ImportError:
        raise MissingDriverError("psycopg is not installed, and this tool is a PostgreSQL database.") from None
    host, port, database = tool.text("host"), int(tool.text("port")), tool.text("database")
    mode = tool.connection.get("sslmode") or "verify-full"
    try:
        return psycopg.connect(
            host=host,
            port=port,
            dbname=database,
            user=user,
            password=password,
            sslmode=mode,
            sslrootcert="system" if mode == "verify-full" else "",
            application_name=application,
            connect_timeout=CONNECT_SECONDS,
            keepalives_idle=KEEPALIVE_SECONDS,
            options="",
        )
    except psycopg.Error as error:
        reason = redact(" ".join(str(error).split()), (password, user))
        raise ToolUnavailableError(f"PostgreSQL {database} at {host}:{port} took no connection: {reason}") from None
