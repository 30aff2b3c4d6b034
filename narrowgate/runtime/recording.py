"""Records an agent's calls by themselves: boto3's events, psycopg's cursors, and one entry for each lease.

The ledger is the client's own testimony, so nothing here can keep an agent's code from going around it: Vault's audit
log and CloudTrail show such calls, and `narrowgate trace` names them. A call of an agent is of low impact: where its
record cannot be written, it goes on; the loss is logged and told in the ledger. It must not import boto3 or psycopg.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from narrowgate.audit.ledger import Entry, Lease, Ledger, LedgerError, Origin
from narrowgate.audit.ledger.operations import iam_action, match_iam, match_statement
from narrowgate.audit.ledger.places import find_ledger_file, read_ledger_variable
from narrowgate.audit.ledger.redaction import Redaction, hide_fields
from narrowgate.runtime.errors import AgentError
from narrowgate.runtime.log import logger
from narrowgate.runtime.witness import VaultWitness

if TYPE_CHECKING:
    from botocore.session import Session as BotocoreSession

    from narrowgate.runtime.credential import Credential
    from narrowgate.runtime.manifest import Manifest, ManifestTool
    from narrowgate.runtime.session import Login

OFF: Final = "off"
MILLISECONDS: Final = 1000
CONTEXT: Final = "narrowgate_call"
# What of a credential may stand in the ledger, by what Vault calls it.
SHOWN: Final = frozenset({"access_key", "arn", "username", "ttl", "serial_number"})

LedgerChoice = Ledger | Path | str | None


def open_recorder(choice: LedgerChoice, manifest: Manifest, login: Login) -> Recorder | None:
    """Return what records this login's calls; None where the ledger is off, or cannot be kept.

    `choice` is a ledger, a file's or folder's path or `off`; without one NARROWGATE_LEDGER says it, and without that a
    manifest that tells where checkpoints go has the file below the user's state folder.
    """
    if isinstance(choice, Ledger):
        return Recorder(choice, manifest, _look_up(login))
    named = choice or read_ledger_variable()
    if str(named) == OFF or (named is None and manifest.ledger is None):
        return None
    path = find_ledger_file(named, manifest.environment, manifest.workflow)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        logger.warning("ledger.off", path=str(path), reason=error.strerror)
        return None
    token = _look_up(login)
    witness = None
    if manifest.ledger is not None and token.get("entity_id"):
        witness = VaultWitness(login, manifest.ledger, str(token["entity_id"]))
    origin = Origin(manifest.environment, manifest.workflow)  # the first record says whose key must have signed
    ledger = Ledger(path, origin, witness=witness, warn=lambda event, code: logger.warning(event, code=code))
    return Recorder(ledger, manifest, token)


def _look_up(login: Login) -> Mapping[str, Any]:
    """Return what Vault says of this login: the user's name comes from Vault, not from the agent."""
    try:
        answer, _ = login.fetch("auth/token/lookup-self")
    except AgentError as error:
        logger.warning("ledger.login-unknown", code=error.code)
        return {}
    data = answer.get("data")
    return data if isinstance(data, Mapping) else {}


class Recorder:
    """Writes one login's calls to a ledger. Its methods never raise because of the ledger."""

    def __init__(self, ledger: Ledger, manifest: Manifest, token: Mapping[str, Any]) -> None:
        self.ledger = ledger
        display = str(token.get("display_name") or "")
        user = display.removeprefix(f"{manifest.auth_mount.replace('/', '-')}-")
        self._origin = Origin(manifest.environment, manifest.workflow, user or None)
        self._secrets: set[str] = set()
        self._leases: dict[str, Lease] = {}
        self._exported: set[str] = set()
        self._redactions: dict[str, Redaction] = {}
        self._lock = threading.Lock()
        details = {
            "accessor_of_login": str(token.get("accessor") or ""),
            "entity": str(token.get("entity_id") or ""),
            "display_name": display,
        }
        self.write(Entry(kind="login", outcome="allowed", details=details))

    def write(self, entry: Entry) -> None:
        """Record `entry`; what fails is logged, and the ledger tells the loss once it can."""
        from dataclasses import replace

        try:
            self.ledger.record(replace(entry, origin=self._origin), secrets=frozenset(self._secrets))
        except LedgerError as error:
            logger.warning("ledger.record-lost", code=error.code, tool=entry.tool)

    def note_lease(self, tool: ManifestTool, credential: Credential, *, recorded: bool) -> Lease:
        """Record that a credential was issued; its calls are `recorded` here, or are not."""
        values = credential.values
        with self._lock:
            for name, value in values.items():
                if isinstance(value, str) and name not in SHOWN:
                    self._secrets.add(value)
            arn = str(values.get("arn") or "")
            lease = Lease(
                id=credential.lease_id,
                access_key_id=_text(values, "access_key"),
                session=arn.rpartition("/")[2] or None,
                login=_text(values, "username"),
            )
            for key in (lease.access_key_id, lease.login):
                if key:
                    self._leases[key] = lease
                    if not recorded:
                        self._exported.add(key)  # its own entry says so already
        self.write(
            Entry(
                kind="lease",
                tool=tool.name,
                outcome="allowed",
                lease=lease,
                recorded=recorded,
                details={"ttl_seconds": round(credential.ttl_seconds), "backend": tool.backend},
            )
        )
        return lease

    def note_export(self, tool: ManifestTool, key: str) -> None:
        """Record that a lease whose calls are recorded went to a client whose calls are not, too; once for each."""
        lease = self._leases.get(key, Lease())
        with self._lock:
            if key in self._exported:
                return
            self._exported.add(key)
        self.write(Entry(kind="lease", tool=tool.name, outcome="allowed", lease=lease, recorded=False))

    def _redaction(self, tool: ManifestTool) -> Redaction:
        """Return what hides the fields that the tool's declaration calls secret."""
        return self._redactions.setdefault(tool.name, hide_fields(tool.secret_fields))

    def close(self) -> None:
        """Make the last checkpoint and close the ledger, before the login is revoked."""
        self.ledger.close()

    # -- boto3

    def watch_session(
        self,
        session: BotocoreSession,
        tool: ManifestTool,
        action: str | None,
        access_key: Callable[[], str],
    ) -> None:
        """Record every call of a botocore `session`; `access_key` returns the id of the key that signs now."""
        granted = _granted(tool)

        def begin(params: object, model: Any, context: dict[str, Any], **_: object) -> None:  # noqa: ANN401
            context[CONTEXT] = {
                "inputs": params,
                "operation": (str(model.service_model.signing_name), str(model.name)),
                "started": time.monotonic(),
                "requests": [],
            }

        def sign(request: Any, **_: object) -> None:  # noqa: ANN401 - botocore's requests have no types
            if CONTEXT in request.context:
                request.context[CONTEXT]["key"] = access_key()

        def receive(context: dict[str, Any], parsed_response: Mapping[str, Any] | None = None, **_: object) -> None:
            request_id = ((parsed_response or {}).get("ResponseMetadata") or {}).get("RequestId")
            if CONTEXT in context and request_id:
                context[CONTEXT]["requests"].append(str(request_id))

        def end(context: dict[str, Any], parsed: Mapping[str, Any] | None = None, **_: object) -> None:
            error = (parsed or {}).get("Error") or {}
            code = str(error.get("Code") or "")
            self._finish(tool, action, granted, context.pop(CONTEXT, None), parsed, code)

        def fail(exception: BaseException, context: dict[str, Any], **_: object) -> None:
            self._finish(tool, action, granted, context.pop(CONTEXT, None), None, type(exception).__name__)

        handlers: tuple[tuple[str, Any], ...] = (
            ("before-parameter-build", begin),
            ("before-sign", sign),
            ("response-received", receive),
            ("after-call", end),
            ("after-call-error", fail),
        )
        for event, handler in handlers:
            session.register(event, handler)

    def _finish(  # noqa: PLR0913, PLR0917 - a call's parts
        self,
        tool: ManifestTool,
        action: str | None,
        granted: Mapping[str, Sequence[str]],
        call: Mapping[str, Any] | None,
        parsed: Mapping[str, Any] | None,
        code: str,
    ) -> None:
        if call is None:
            return
        service, operation = call["operation"]
        hide = self._redaction(tool).apply
        self.write(
            Entry(
                kind="call",
                tool=tool.name,
                action=action or match_iam(iam_action(service, operation), granted),
                operation=f"{service}:{operation}",
                inputs=hide(call["inputs"]),
                outputs=hide(_summarize(parsed)),
                outcome=_judge(code),
                error=code or None,
                lease=self._leases.get(call.get("key", "")),
                duration_ms=(time.monotonic() - call["started"]) * MILLISECONDS,
                requests=tuple(call["requests"]),
            )
        )

    # -- psycopg

    def record_statement(  # noqa: PLR0913 - a statement's parts
        self,
        tool: ManifestTool,
        action: str | None,
        login: str,
        *,
        statement: str,
        inputs: object,
        outputs: object,
        code: str,
        started: float,
    ) -> None:
        """Record one statement; `code` is the error's SQLSTATE or name, empty for none; `started` by time.monotonic."""
        redaction = self._redaction(tool)
        self.write(
            Entry(
                kind="call",
                tool=tool.name,
                action=action or match_statement(statement, _granted(tool)),
                operation=f"sql:{statement.split(maxsplit=1)[0].upper() if statement.strip() else ''}",
                inputs=redaction.apply_inputs({"statement": statement, "parameters": inputs}),
                outputs=redaction.apply(outputs),
                outcome="refused" if code == "42501" else "failed" if code else "allowed",
                error=code or None,
                lease=self._leases.get(login),
                duration_ms=(time.monotonic() - started) * MILLISECONDS,
            )
        )


def _text(values: Mapping[str, Any], name: str) -> str | None:
    value = values.get(name)
    return str(value) if value else None


def _granted(tool: ManifestTool) -> dict[str, Sequence[str]]:
    return {name: action.grants for name, action in tool.actions.items() if not action.gated}


def _judge(code: str) -> str:
    if not code:
        return "allowed"
    refused = (
        any(word in code for word in ("AccessDenied", "Unauthorized", "Forbidden", "ExpiredToken")) or code == "403"
    )
    return "refused" if refused else "failed"


def _summarize(parsed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return how much came back, not what: lists by their length, streams not at all."""
    if parsed is None:
        return None
    meta = parsed.get("ResponseMetadata") or {}
    shown: dict[str, Any] = {"status": meta.get("HTTPStatusCode")}
    for name, value in parsed.items():
        if name in {"ResponseMetadata", "Error"}:
            continue
        shown[name] = {"items": len(value)} if isinstance(value, list) else value
    return shown
