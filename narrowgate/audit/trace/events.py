"""One record of any source as an event of one shape: when, who, what, and the names by which it joins others.

Facts about the formats: CloudTrail record contents (AWS CloudTrail User Guide), audit devices (Vault, OpenBao). Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from narrowgate.runtime.proposals import make_request_id

if TYPE_CHECKING:
    from collections.abc import Mapping

AGENT_POLICY: Final = "agent."
GATE_PATH: Final = re.compile(r"[^/]*(drafts|cases|decisions|records)/data/([^/_][^/]*)/([^/]+)(?:/([^/]+))?")
LEASE_PATH: Final = re.compile(r"([^/]+)/(?:sts|creds)/([^/]+)")
OUR_ROLE: Final = re.compile(r"arn:[^:]+:iam::\d+:role/narrowgate/([^/]+)/(tool|gated)/(.+)")
GATED_MOUNT: Final = "gated"


class Source(StrEnum):
    """Whose word an event is."""

    LEDGER = "ledger"
    VAULT = "vault"
    CLOUDTRAIL = "cloudtrail"


@dataclass(frozen=True, slots=True)
class Event:
    """One record. Empty texts are what the record does not say; `requests` are AWS's ids of the call.

    `kind`: login, lease, assume (the broker's AssumeRole behind a lease), call, begin, draft, case, decision, record.
    `recorded` False says that the calls of a lease are in no ledger by design. `place` is the record's file and number.
    """

    source: Source
    kind: str
    time: str
    place: str
    workflow: str = ""
    user: str = ""
    tool: str = ""
    action: str = ""
    operation: str = ""
    outcome: str = ""
    detail: str = ""
    lease: str = ""
    access_key: str = ""
    session: str = ""
    login: str = ""
    accessor: str = ""
    case: str = ""
    requests: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    recorded: bool | None = None
    gated: bool = False
    identifier: str = ""


def read_event(source: Source, record: Mapping[str, Any], place: str) -> Event | None:
    """Return the event in a record of `source`, or None for one that says nothing about an agent's doings."""
    return _READERS[source](record, place)


def format_moment(text: str) -> str:
    """Return an RFC 3339 time in UTC to the microsecond, so that texts sort as times do."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)", text)
    if match is None:
        return text
    return f"{match[1]}.{(match[2] or '')[:6]:0<6}Z"


def _read_ledger(record: Mapping[str, Any], place: str) -> Event | None:
    kind = _text(record, "kind")
    if kind not in {"login", "lease", "begin", "call", "note"}:
        return None
    lease, details = _map(record, "lease"), _map(record, "details")
    given = record.get("approver")
    approvers = given if isinstance(given, list) else [given] if given else []
    return Event(
        Source.LEDGER,
        kind,
        format_moment(_text(record, "time")),
        place,
        workflow=_text(record, "workflow"),
        user=_text(record, "user"),
        tool=_text(record, "tool"),
        action=_text(record, "action"),
        operation=_text(record, "operation"),
        outcome=_text(record, "outcome"),
        detail=_say_ledger(record),
        lease=_text(lease, "id"),
        access_key=_text(lease, "access_key_id"),
        session=_text(lease, "session"),
        login=_text(lease, "login"),
        accessor=_text(details, "accessor_of_login"),
        case=_text(record, "case_id"),
        requests=tuple(str(request) for request in record.get("requests") or ()),
        approvers=tuple(_name_approver(person) for person in approvers),
        recorded=record.get("recorded") if isinstance(record.get("recorded"), bool) else None,
        gated=_text(record, "operation") == "gated:execute",
        identifier=_text(record, "call_id"),
    )


def _say_ledger(record: Mapping[str, Any]) -> str:
    inputs = record.get("inputs")
    if isinstance(inputs, dict):
        shown = inputs.get("statement") or ", ".join(f"{key}={_short(value)}" for key, value in inputs.items())
    else:
        shown = "" if inputs is None else _short(inputs)
    return " ".join(part for part in (str(shown), _text(record, "error")) if part)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - a line's worth


def _name_approver(person: object) -> str:
    if isinstance(person, dict):
        reason = _text(person, "reason")
        return _text(person, "name") + (f" ({reason})" if reason else "")
    return str(person)


def _read_vault(record: Mapping[str, Any], place: str) -> Event | None:
    """Read a response: it says what was asked and what came of it."""
    if record.get("type") != "response":
        return None
    request, response, auth = _map(record, "request"), _map(record, "response"), _map(record, "auth")
    path, error = _text(request, "path"), _text(record, "error")
    workflow, user = _read_login(auth)
    common: dict[str, Any] = {
        "time": format_moment(_text(record, "time")),
        "place": place,
        "outcome": "refused" if error else "allowed",
        "detail": " ".join(error.split()),
        "operation": f"vault:{_text(request, 'operation')} {path}",
        "accessor": _text(request, "client_token_accessor") or _text(auth, "accessor"),
        "identifier": _text(request, "id"),
    }
    if re.fullmatch(r"auth/.+/login", path):
        return Event(Source.VAULT, "login", workflow=workflow, user=user, **common)
    lease_path = LEASE_PATH.fullmatch(path)
    if lease_path:
        data, secret = _map(response, "data"), _map(response, "secret")
        owner, _, tool = lease_path[2].partition(".")
        return Event(
            Source.VAULT,
            "lease",
            workflow=workflow or owner,
            user=user,
            tool=_name_tool(tool),
            lease=_text(secret, "lease_id"),
            access_key=_clear(data, "access_key"),
            session=_clear(data, "arn").rpartition("/")[2],
            login=_clear(data, "username"),
            gated=GATED_MOUNT in lease_path[1],
            **common,
        )
    return _read_gate(path, workflow, user, common)


def _name_tool(rest: str) -> str:
    """Return the tool in what follows the workflow in a Vault role's name; nothing for a shortened one."""
    return "" if "_" in rest else rest.partition(".")[0]


def _read_gate(path: str, workflow: str, user: str, common: Mapping[str, Any]) -> Event | None:
    """Read what was written to the gate's mounts; the path tells which request it was about."""
    match = GATE_PATH.fullmatch(path)
    verb = str(common["operation"]).partition(" ")[0]
    if match is None or verb not in {"vault:create", "vault:update"}:
        return None
    kind, owner, name, rest = match.groups()
    case = make_request_id(owner, name, rest) if kind == "drafts" and rest else f"{owner}.{name}"
    action = rest.rpartition(".")[0] if kind == "drafts" and rest else ""
    tool, _, name_of_action = action.partition(".")
    if kind == "drafts":  # only the workflow's own agent may write there: its login is named after it
        user = user.partition(f"-{owner}-")[2] or user
    return Event(
        Source.VAULT,
        kind.removesuffix("s"),
        workflow=workflow or owner,
        user=user,
        case=case,
        tool=tool,
        action=name_of_action,
        **common,
    )


def _read_login(auth: Mapping[str, Any]) -> tuple[str, str]:
    """Return the workflow and the user of an agent's token, or nothing and the display name of another's."""
    display = _text(auth, "display_name")
    for policy in auth.get("policies") or ():
        if str(policy).startswith(AGENT_POLICY):
            workflow = str(policy).removeprefix(AGENT_POLICY)
            return workflow, display.partition(f"-{workflow}-")[2] or display
    return "", display


def _read_cloudtrail(record: Mapping[str, Any], place: str) -> Event | None:
    identity = _map(record, "userIdentity")
    issuer = _map(_map(identity, "sessionContext"), "sessionIssuer")
    session = _text(identity, "arn").rpartition("/")[2] if identity.get("type") == "AssumedRole" else ""
    role = OUR_ROLE.fullmatch(_text(issuer, "arn"))
    owner, _, rest = session.partition("@")[0].partition(".")
    ours = bool(role and rest)
    service = _text(record, "eventSource").partition(".")[0]
    answer = _map(record, "responseElements")
    issued = _text(_map(answer, "credentials"), "accessKeyId")
    if issued and _text(record, "eventName").startswith("AssumeRole"):  # whoever assumed it: the session is another's
        return Event(
            Source.CLOUDTRAIL,
            "assume",
            format_moment(_text(record, "eventTime")),
            place,
            operation=f"{service}:{_text(record, 'eventName')}",
            outcome="allowed",
            access_key=issued,
            session=_text(_map(answer, "assumedRoleUser"), "arn").rpartition("/")[2],
            identifier=_text(record, "eventID"),
        )
    error = _text(record, "errorCode")
    denied = any(word in error for word in ("Denied", "Unauthorized", "Forbidden", "Expired"))
    return Event(
        Source.CLOUDTRAIL,
        "call",
        format_moment(_text(record, "eventTime")),
        place,
        workflow=owner if ours and "_" not in owner else "",
        tool=_name_tool(rest) if ours else "",
        operation=f"{service}:{_text(record, 'eventName')}",
        outcome="refused" if denied else "failed" if error else "allowed",
        detail=" ".join(part for part in (_say_parameters(record), error) if part),
        access_key=_text(identity, "accessKeyId"),
        session=session,
        requests=tuple(filter(None, [_text(record, "requestID")])),
        gated=bool(role and role[2] == "gated"),
        identifier=_text(record, "eventID"),
    )


def _say_parameters(record: Mapping[str, Any]) -> str:
    parameters = record.get("requestParameters")
    shown = parameters.items() if isinstance(parameters, dict) else ()
    return ", ".join(f"{key}={_short(value)}" for key, value in list(shown)[:8])


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else "" if value is None else str(value)


def _clear(record: Mapping[str, Any], name: str) -> str:
    """Return a field that an audit log shows in the clear, nothing for one that it hides."""
    value = _text(record, name)
    return "" if value.startswith("hmac-sha256:") else value


def _map(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = record.get(name)
    return value if isinstance(value, dict) else {}


_READERS: Final = {
    Source.LEDGER: _read_ledger,
    Source.VAULT: _read_vault,
    Source.CLOUDTRAIL: _read_cloudtrail,
}
