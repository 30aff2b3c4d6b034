"""An access review as CSV, Markdown, HTML, JSON or text. What others named is escaped for each. It must not judge."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Final

from narrowgate.access.render import code_span
from narrowgate.audit.pages import escape_text, frame_page, plain
from narrowgate.audit.review import ReviewRow

if TYPE_CHECKING:
    from collections.abc import Sequence

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV injection).
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
COLUMNS: Final = tuple(field.name for field in fields(ReviewRow))
SHOWN: Final = (
    "workflow",
    "owner",
    "requesters",
    "tool",
    "action",
    "access",
    "gated",
    "last_used",
    "commit",
    "accepted",
)
SHORT: Final = 12


def render_csv(rows: Sequence[ReviewRow]) -> str:
    """Return the rows as CSV (RFC 4180), every cell quoted, none of them a formula."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([_guard(_say(row, name)) for name in COLUMNS] for row in rows)
    return file.getvalue()


def _guard(text: str) -> str:
    shown = plain(text)
    return f"'{shown}" if text.startswith(FORMULA_STARTS) or text.lstrip().startswith(FORMULA_STARTS) else shown


def _say(row: ReviewRow, name: str) -> str:
    value = getattr(row, name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "; ".join(value) if isinstance(value, tuple) else str(value)


def render_markdown(rows: Sequence[ReviewRow]) -> str:
    """Return the rows as a Markdown table; what others named stands in code spans."""
    lines = [f"| {' | '.join(SHOWN)} |", f"|{' --- |' * len(SHOWN)}"]
    lines += [f"| {' | '.join(_span(row, name) for name in SHOWN)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _span(row: ReviewRow, name: str) -> str:
    text = _shorten(row, name)
    # A bar ends a cell even inside a code span (GitHub Flavored Markdown, tables).
    return code_span(text.replace("|", "\N{BROKEN BAR}")) if text else ""


def _shorten(row: ReviewRow, name: str) -> str:
    text = _say(row, name)
    return text[:SHORT] if name == "commit" and len(text) >= 40 else text  # noqa: PLR2004 - a hash


def render_html(rows: Sequence[ReviewRow], environment: str) -> str:
    """Return the rows as one HTML page that loads nothing."""
    head = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in (*SHOWN, "approval", "grants"))
    body = ["<table>", f"<tr>{head}</tr>"]
    for row in rows:
        cells = [escape_text(_shorten(row, name)) for name in (*SHOWN, "approval")]
        cells.append("<br>".join(escape_text(grant) for grant in row.grants))
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return frame_page(f"Access review of {environment}", [*body, "</table>"])


def render_json(rows: Sequence[ReviewRow], environment: str) -> str:
    """Return the rows as JSON, version 1; what is not known is null."""
    entries = [{**asdict(row), "last_used": None if row.last_used == "unknown" else row.last_used} for row in rows]
    return (
        json.dumps({"version": 1, "environment": environment, "access": entries}, indent=2, ensure_ascii=False) + "\n"
    )


def render_text(rows: Sequence[ReviewRow]) -> str:
    """Return the rows as text, by workflow."""
    lines: list[str] = []
    before = ""
    for row in rows:
        if row.workflow != before:
            asks = f"asked by {', '.join(row.requesters)}" if row.requesters else "asked by nobody"
            lines.append(f"{row.workflow} (owner {row.owner}, {asks})")
            before = row.workflow
        gate = f", only after {row.approval}" if row.gated else ""
        commit = _shorten(row, "commit")
        accepted = f"{commit} {row.accepted}".strip()
        lines.append(f"  {row.tool}.{row.action} ({row.access}{gate})")
        lines.append(f"    last used: {row.last_used}; accepted: {accepted}")
        lines += [f"    {grant}" for grant in row.grants]
    return "".join(f"{plain(line)}\n" for line in lines)
