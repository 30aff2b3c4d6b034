"""Small logs of three sources about one login, written for tests: what each says, in that source's own form."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from narrowgate.audit.trace import Sources

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW, LEASE, KEY = "triage", "narrowgate-aws/sts/triage.logs/abc", "ASIATRIAGE"
SESSION = "triage.logs@agents-triage-alice"
ROLE = "arn:aws:iam::111111111111:role/narrowgate/dev/{kind}/ng-dev-triage-logs-1e8a54fa"


@dataclass
class Logs:
    """Three sources in a folder; each method adds a record, `write` writes them and returns where they are."""

    folder: Path
    ledger: list[dict[str, Any]] = field(default_factory=list)
    vault: list[dict[str, Any]] = field(default_factory=list)
    trail: list[dict[str, Any]] = field(default_factory=list)

    def entry(self, kind: str, second: int, **more: Any) -> None:  # noqa: ANN401 - a record's own fields
        record = {
            "version": 1,
            "seq": len(self.ledger) + 1,
            "prev": "0" * 64,
            "kind": kind,
            "time": f"2026-01-31T08:00:{second:02d}.500000Z",
            "environment": "dev",
            "workflow": WORKFLOW,
            "user": "alice",
        }
        self.ledger.append({**record, **more})

    def call(self, second: int, request: str = "", **more: Any) -> None:  # noqa: ANN401 - a record's own fields
        lease = {"id": LEASE, "access_key_id": KEY, "session": SESSION}
        body = {"tool": "logs", "action": "search", "operation": "logs:FilterLogEvents", "outcome": "allowed"}
        self.entry("call", second, **{**body, "lease": lease, "requests": [request] if request else [], **more})

    def answer(self, path: str, second: int, *, response: dict[str, Any] | None = None, **more: Any) -> None:  # noqa: ANN401 - a record's own fields
        display = more.pop("display", "agents-triage-alice")
        policies = more.pop("policies", ["agent.triage", "tool.triage.logs"])
        accessor = more.pop("accessor", "accessor-of-alice")
        record = {
            "time": f"2026-01-31T08:00:{second:02d}.123456789Z",
            "type": "response",
            "auth": {"accessor": accessor, "display_name": display, "policies": policies},
            "request": {"id": f"request-{second}", "operation": "update", "path": path, **more},
            "response": response or {},
        }
        self.vault.append(record)

    def event(self, second: int, request: str = "", *, kind: str = "tool", **more: Any) -> None:  # noqa: ANN401 - a record's own fields
        self.trail.append(
            {
                "eventVersion": "1.11",
                "userIdentity": {
                    "type": "AssumedRole",
                    "arn": f"arn:aws:sts::111111111111:assumed-role/ng-dev-triage-logs-1e8a54fa/{SESSION}",
                    "accountId": "111111111111",
                    "accessKeyId": KEY,
                    "sessionContext": {"sessionIssuer": {"type": "Role", "arn": ROLE.format(kind=kind)}},
                },
                "eventTime": f"2026-01-31T08:00:{second:02d}Z",
                "eventSource": "logs.amazonaws.com",
                "eventName": "FilterLogEvents",
                "requestParameters": {"logGroupName": "/app/payments"},
                "responseElements": None,
                "requestID": request,
                "eventID": f"event-{len(self.trail)}",
                **more,
            }
        )

    def login(self) -> None:
        """Add what a login and its one credential leave everywhere."""
        self.entry("opened", 0, details={"ledger": "0b0e0b0e-0000-4000-8000-000000000000", "host": "h", "path": "p"})
        self.entry("login", 1, details={"accessor_of_login": "accessor-of-alice"})
        lease = {"id": LEASE, "access_key_id": KEY, "session": SESSION}
        self.entry("lease", 2, tool="logs", lease=lease, recorded=True)
        self.answer("auth/agents/triage/login", 1)
        data = {"access_key": KEY, "arn": f"arn:aws:sts::1:assumed-role/r/{SESSION}", "secret_key": "hmac-sha256:0"}
        self.answer("narrowgate-aws/sts/triage.logs", 2, response={"secret": {"lease_id": LEASE}, "data": data})

    def write(self, *, form: str = "lines", without: tuple[str, ...] = ()) -> Sources:
        """Write all; `form` is CloudTrail's: lines, records (one JSON text), or gzip."""
        paths = {}
        for name, records in (("ledger", self.ledger), ("vault", self.vault), ("trail", self.trail)):
            path = self.folder / f"{name}.jsonl"
            text = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
            path.write_text(text)
            if name == "trail" and form != "lines":
                whole = json.dumps({"Records": records}, separators=(",", ":") if form == "gzip" else None).encode()
                path.unlink()
                path = self.folder / ("trail.json.gz" if form == "gzip" else "trail.json")
                path.write_bytes(gzip.compress(whole) if form == "gzip" else whole)
            paths[name] = () if name in without else (path,)
        return Sources(paths["ledger"], paths["vault"], paths["trail"])
