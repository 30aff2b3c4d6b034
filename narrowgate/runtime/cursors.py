"""psycopg cursors that leave a record of every statement they run. Imported only where psycopg is in use."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.sql import Composable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.runtime.manifest import ManifestTool
    from narrowgate.runtime.recording import Recorder


def recording_cursor(recorder: Recorder, tool: ManifestTool, action: str | None, login: str) -> type[psycopg.Cursor]:
    """Return a cursor class whose statements `recorder` keeps, as calls of `tool` by the database login `login`."""

    class RecordingCursor(psycopg.Cursor[Any]):
        """Records execute, executemany, copy and stream; rows themselves are never kept."""

        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # noqa: ANN401 - psycopg's own
            """Run one statement, as psycopg does."""
            with self._recorded(query, params):
                return super().execute(query, params, **options)

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:  # noqa: ANN401 - as above
            """Run one statement many times, as psycopg does; it is one record."""
            rows = list(params_seq)
            with self._recorded(query, {"times": len(rows), "first": rows[0] if rows else None}):
                super().executemany(query, rows, **options)

        @contextlib.contextmanager
        def copy(self, statement: Any, params: Any = None, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
            """Copy rows in or out, as psycopg does."""
            with self._recorded(statement, params), super().copy(statement, params, **options) as copy:
                yield copy

        def stream(self, query: Any, params: Any = None, **options: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
            """Read rows one by one, as psycopg does."""
            with self._recorded(query, params):
                yield from super().stream(query, params, **options)

        @contextlib.contextmanager
        def _recorded(self, query: Any, params: Any) -> Iterator[None]:  # noqa: ANN401 - as above
            started, code = time.monotonic(), ""
            try:
                yield
            except psycopg.Error as error:
                code = error.sqlstate or type(error).__name__
                raise
            finally:
                columns = [column.name for column in self.description or ()] if not code else []
                recorder.record_statement(
                    tool,
                    action,
                    login,
                    statement=_say(query),
                    inputs=params,
                    outputs=None if code else {"rows": self.rowcount, "columns": columns},
                    code=code,
                    started=started,
                )

    return RecordingCursor


def _say(query: Any) -> str:  # noqa: ANN401 - psycopg takes texts, bytes and composed queries
    if isinstance(query, Composable):
        return query.as_string(None)
    return query.decode("utf-8", "replace") if isinstance(query, bytes) else str(query)
