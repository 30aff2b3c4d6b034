"""A trace as one HTML page that needs nothing else: a picture (inline SVG), the time line, findings.

Everything that is not of this file is escaped: agents, callers and users choose names and inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.audit.pages import escape_text, frame_page
from narrowgate.audit.trace.render import list_steps, say_call, say_credential, say_who

if TYPE_CHECKING:
    from narrowgate.audit.trace.chain import Credential, Trace

ROWS: Final = 60
ROW, WIDTH, BOX = 34, 230, 26
COLUMNS: Final = ("who asked", "agent and login", "credential", "calls", "witnesses")
LETTERS: Final = 32


def render_page(trace: Trace) -> str:
    """Return the page, as HTML."""
    asked = trace.question
    names = (("", asked.id), ("workflow ", asked.workflow), ("user ", asked.user), ("since ", asked.since))
    title = "Trace of " + ", ".join(f"{kind}{value}" for kind, value in names if value)
    parts = [f"<p>{_count(trace)}</p>"]
    parts += [
        f'<p class="finding">{escape_text(f.time[:19])} {escape_text(f.what)} <code>{escape_text(f.code)}</code> '
        f"<code>{escape_text(f.place)}</code></p>"
        for f in trace.findings
    ]
    parts += [f'<p class="note">{escape_text(note)}</p>' for note in trace.notes]
    parts += ["<h2>Picture</h2>", _draw(trace), "<h2>Time line</h2>", *_list_sessions(trace), *_list_proposals(trace)]
    return frame_page(title, parts)


def _count(trace: Trace) -> str:
    counts = (
        ("logins", trace.sessions),
        ("credentials", trace.credentials),
        ("calls", trace.calls),
        ("proposals", trace.proposals),
        ("findings", trace.findings),
    )
    return ", ".join(f"{len(items)} {name}" for name, items in counts)


def _list_sessions(trace: Trace) -> list[str]:
    parts: list[str] = []
    for session in trace.sessions:
        parts += [f"<h3>{escape_text(say_who(session))}</h3>", "<ul>"]
        for credential in session.credentials:
            parts += _list_credential(credential)
        parts += [f"<li>{escape_text(say_call(call))}</li>" for call in session.calls]
        parts.append("</ul>")
    return parts


def _list_credential(credential: Credential) -> list[str]:
    calls = [f"<li>{escape_text(say_call(call))}</li>" for call in credential.calls]
    inner = ["<ol>", *calls, "</ol>"] if calls else []
    return [f"<li>{escape_text(credential.issued[:19])} {escape_text(say_credential(credential))}", *inner, "</li>"]


def _list_proposals(trace: Trace) -> list[str]:
    parts: list[str] = []
    for proposal in trace.proposals:
        parts += [f"<h3>Proposal {escape_text(proposal.case)}</h3>", "<ol>"]
        parts += [f"<li>{escape_text(time[:19])} {escape_text(words)}</li>" for time, words in list_steps(proposal)]
        parts.append("</ol>")
        for credential in proposal.credentials:
            parts += ["<ul>", *_list_credential(credential), "</ul>"]
    return parts


# -- the picture


def _draw(trace: Trace) -> str:
    """Return the picture: one row for each credential, joined to the login and the user behind it."""
    rows: list[tuple[tuple[str, ...], bool]] = []
    bad = {finding.place for finding in trace.findings}
    for session in trace.sessions:
        who = session.user or "nobody: it runs by itself"
        login = session.workflow or "unknown login"
        rows += [((who, login, *_cells(credential)), _is_bad(credential, bad)) for credential in session.credentials]
    for proposal in trace.proposals:
        approved = f"approved by {', '.join(proposal.approvers)}" if proposal.approvers else "not approved"
        for credential in proposal.credentials:
            row = (proposal.user or "nobody", approved, *_cells(credential))
            rows.append((row, _is_bad(credential, bad) or not proposal.approvers))
    shown = rows[:ROWS]
    height = ROW * (len(shown) + 1) + 10
    width = WIDTH * len(COLUMNS)
    parts = [f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="From the users to the calls made for them">']
    parts += [f'<text x="{WIDTH * i + 8}" y="20" font-weight="bold">{name}</text>' for i, name in enumerate(COLUMNS)]
    before: tuple[str, ...] = ()
    for number, (cells, wrong) in enumerate(shown):
        parts += _draw_row(cells, before, ROW * (number + 1), wrong=wrong)
        before = cells
    parts.append("</svg>")
    if len(rows) > ROWS:
        parts.append(f"<p>{len(rows) - ROWS} more credentials are in the time line only.</p>")
    return "\n".join(parts)


def _cells(credential: Credential) -> tuple[str, str, str]:
    name = credential.session or credential.login or credential.access_key or credential.lease
    allowed = sum(call.event.outcome == "allowed" for call in credential.calls)
    calls = f"{allowed} allowed, {len(credential.calls) - allowed} refused or failed"
    sources = {source.value for source in credential.sources}
    return f"{credential.tool or 'tool'}: {name}", calls, ", ".join(sorted(sources))


def _is_bad(credential: Credential, places: set[str]) -> bool:
    events = [event for call in credential.calls for event in (call.ledger, call.trail) if event]
    return any(event.place in places for event in events) or (credential.gated and credential.lease in places)


def _draw_row(cells: tuple[str, ...], before: tuple[str, ...], top: int, *, wrong: bool) -> list[str]:
    """Draw one row; what is the same as in the row before is not drawn again."""
    parts: list[str] = []
    color = "#b3261e" if wrong else "#3b5bdb"
    for column, text in enumerate(cells):
        x = WIDTH * column + 4
        if column < 2 and cells[: column + 1] == before[: column + 1]:  # noqa: PLR2004 - user and login
            continue
        if column:
            middle = top + BOX // 2
            parts.append(f'<path d="M{x - 10} {middle}H{x}" stroke="{color}" fill="none"/>')
        parts.append(
            f'<rect x="{x}" y="{top}" width="{WIDTH - 14}" height="{BOX}" rx="5" fill="#f5f7ff" stroke="{color}"/>'
        )
        shown = text if len(text) <= LETTERS else f"{text[: LETTERS - 1]}…"
        parts.append(f'<text x="{x + 7}" y="{top + 18}">{escape_text(shown)}<title>{escape_text(text)}</title></text>')
    return parts
