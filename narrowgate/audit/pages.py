"""The frame of every HTML page here: it needs nothing else, loads nothing and runs no script.

Everything that others chose is escaped by `escape_text`. The one style sheet is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}code,td,li{overflow-wrap:anywhere}
.finding{border-left:4px solid #b3261e;padding:.3rem .8rem;margin:.4rem 0;background:#fdecea}
.note{border-left:4px solid #8a6d00;padding:.3rem .8rem;margin:.4rem 0;background:#fff8e1}
ol,ul{padding-left:1.4rem}svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:#1b1f24}
table{border-collapse:collapse;width:100%}td,th{border:1px solid #d0d7de;padding:.25rem .5rem;text-align:left}
td{vertical-align:top}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def plain(text: str) -> str:
    """Return `text` with every character that is not printable replaced: it can't move a terminal's cursor."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def escape_text(text: str) -> str:
    """Return `text` as it may stand in HTML, between tags or in a quoted attribute."""
    return escape(plain(text), quote=True)


def frame_page(title: str, body: Iterable[str]) -> str:
    """Return a whole page; `body` is markup already."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>{escape_text(title)}</title><style>{STYLE}</style></head><body>",
            f"<h1>{escape_text(title)}</h1>",
            *body,
            "</body></html>",
            "",
        ]
    )
