"""Joins three sources into one time line: who asked, which agent logged in, what it called, who approved.

    trace = build_trace(search(sources, Question(id="ASIA…")), now)

The ledger is the client's testimony, Vault's audit log and CloudTrail are the witnesses. Everything here only reads
files, and believes none of them alone: `narrowgate ledger verify` and CloudTrail's digests say whether one may.
"""

from narrowgate.audit.trace.chain import Call, Credential, Session, Trace, build_trace
from narrowgate.audit.trace.events import Event, Source
from narrowgate.audit.trace.findings import Finding
from narrowgate.audit.trace.search import Question, Sources, search
from narrowgate.audit.trace.sources import SourceError

__all__ = [
    "Call",
    "Credential",
    "Event",
    "Finding",
    "Question",
    "Session",
    "Source",
    "SourceError",
    "Sources",
    "Trace",
    "build_trace",
    "search",
]
