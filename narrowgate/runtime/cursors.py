"""psycopg cursors that leave a record of every statement they run. Imported only where psycopg is in use."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import Composable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from narrowgate.runtime.manifest import ManifestTool
    from narrowgate.runtime.recording import Recorder


class _Records:
    """Where a connection's statements are recorded: as calls of `tool` by the database login `login`."""

    def __init__(self, recorder: Recorder, tool: ManifestTool, action: str | None, login: str) -> None:
        self._recorder, self._tool, self._action, self._login = recorder, tool, action, login

    @contextlib.contextmanager
    def around(self, cursor: Any, query: Any, params: Any) -> Iterator[None]:  # noqa: ANN401 - psycopg's own
        """Record the statement that the block runs by `cursor`, and how it ended; rows themselves are never kept."""
        started, code = time.monotonic(), ""
        try:
            yield
        except psycopg.Error as error:
            code = error.sqlstate or type(error).__name__
            raise
        finally:
            columns = [column.name for column in cursor.description or ()] if not code else []
            self._recorder.record_statement(
                self._tool,
                self._action,
                self._login,
                statement=_say(query),
                inputs=params,
                outputs=None if code else {"rows": cursor.rowcount, "columns": columns},
                code=code,
                started=started,
            )


def record_connection(
    connection: psycopg.Connection[Any], recorder: Recorder, tool: ManifestTool, action: str | None, login: str
) -> None:
    """Have `recorder` keep every statement that a cursor of `connection` runs, a server-side one's too."""
    records = _Records(recorder, tool, action, login)

    class Recording:
        """Records execute, executemany, copy and stream."""

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 - psycopg's own
            """Run one statement, as psycopg does."""
            with records.around(self, query, params):
                return super().execute(query, params, **options)  # type: ignore[misc]

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:  # noqa: ANN401 - as above
            """Run one statement many times, as psycopg does; it is one record."""
            rows = list(params_seq)
            with records.around(self, query, _many(rows)):
                super().executemany(query, rows, **options)  # type: ignore[misc]

        @contextlib.contextmanager
        def copy(self, statement: Any, params: Any = None, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
            """Copy rows in or out, as psycopg does."""
            with (
                records.around(self, statement, params),
                super().copy(statement, params, **options) as copy,  # type: ignore[misc]
            ):
                yield copy

        def stream(self, query: Any, params: Any = None, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
            """Read rows one by one, as psycopg does."""
            with records.around(self, query, params):
                yield from super().stream(query, params, **options)  # type: ignore[misc]

    connection.cursor_factory = type("RecordingCursor", (Recording, psycopg.Cursor), {})
    connection.server_cursor_factory = type("RecordingServerCursor", (Recording, psycopg.ServerCursor), {})


def record_async_connection(
    connection: psycopg.AsyncConnection[Any], recorder: Recorder, tool: ManifestTool, action: str | None, login: str
) -> None:
    """Do the same for a connection of asyncio."""
    records = _Records(recorder, tool, action, login)

    class Recording:
        """Records execute, executemany, copy and stream."""

        async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 - psycopg's own
            """Run one statement, as psycopg does."""
            with records.around(self, query, params):
                return await super().execute(query, params, **options)  # type: ignore[misc]

        async def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:  # noqa: ANN401 - as above
            """Run one statement many times, as psycopg does; it is one record."""
            rows = list(params_seq)
            with records.around(self, query, _many(rows)):
                await super().executemany(query, rows, **options)  # type: ignore[misc]

        @contextlib.asynccontextmanager
        async def copy(self, statement: Any, params: Any = None, **options: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
            """Copy rows in or out, as psycopg does."""
            with records.around(self, statement, params):
                async with super().copy(statement, params, **options) as copy:  # type: ignore[misc]
                    yield copy

        async def stream(self, query: Any, params: Any = None, **options: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
            """Read rows one by one, as psycopg does."""
            with records.around(self, query, params):
                async for row in super().stream(query, params, **options):  # type: ignore[misc]
                    yield row

    connection.cursor_factory = type("RecordingAsyncCursor", (Recording, psycopg.AsyncCursor), {})
    connection.server_cursor_factory = type("RecordingAsyncServerCursor", (Recording, psycopg.AsyncServerCursor), {})


def _many(rows: list[Any]) -> dict[str, Any]:
    return {"times": len(rows), "first": rows[0] if rows else None}


def _say(query: Any) -> str:  # noqa: ANN401 - psycopg takes texts, bytes and composed queries
    if isinstance(query, Composable):
        return query.as_string(None)
    return query.decode("utf-8", "replace") if isinstance(query, bytes) else str(query)
