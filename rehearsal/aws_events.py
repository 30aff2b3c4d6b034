"""One emulated AWS call as an event in CloudTrail's record format.

CloudTrail's own documentation fixes the fields ("CloudTrail record contents"); `additionalEventData.emulated` tells
that no AWS made it. Pure: what a call was and how it ended goes in, a JSON-ready event comes out. It must not decide.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_VERSION = "1.11"
REDACTED = "HIDDEN_DUE_TO_SECURITY_REASONS"
SECRET_PARAMETERS = re.compile(r"secret|password|token(?!s?type)|signature|plaintext|privatekey", re.IGNORECASE)
CONTENT_PARAMETERS = frozenset({"logEvents"})
PARAMETER_LIMIT = 8192
READ_PREFIXES = ("Get", "List", "Head", "Describe", "Filter", "Lookup", "Assume", "Simulate", "Generate")
UNAUTHENTICATED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
S3_EVENT_NAMES = {
    ("GET", "ListBucket"): "ListObjects",
    ("GET", "ListAllMyBuckets"): "ListBuckets",
    ("HEAD", "ListBucket"): "HeadBucket",
    ("HEAD", "GetObject"): "HeadObject",
    ("POST", "DeleteObject"): "DeleteObjects",
}
# S3's calls on objects are data events; every other call that is emulated here is told as a management event.
S3_DATA_EVENTS = frozenset({"DeleteObject", "DeleteObjects", "GetObject", "HeadObject", "ListObjects", "PutObject"})
STATUS_CODES = {400: "BadRequest", 403: "AccessDenied", 404: "NotFound", 409: "Conflict", 500: "InternalFailure"}
_XML_CODE = re.compile(rb"<Code>([^<]+)</Code>")
_XML_MESSAGE = re.compile(rb"<Message>([^<]*)</Message>")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who called, as CloudTrail's `userIdentity` tells; `role_*` are of the role behind an assumed-role session."""

    type: str
    access_key: str
    arn: str = ""
    account: str = ""
    principal_id: str = ""
    user_name: str = ""
    role_arn: str = ""
    role_id: str = ""
    session_started: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `service` and `action` as IAM names them, and the request as it came in."""

    service: str
    action: str
    region: str
    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    source_address: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended: HTTP `status`, the response's `headers` and `body` (its beginning, for a long one)."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def build_event(call: Call, identity: Identity, outcome: Outcome, when: dt.datetime) -> dict[str, Any]:
    """Return the event of `call`. A caller whose credentials failed is not named: nothing proved who it was."""
    code, message = read_error(outcome)
    name = name_event(call)
    is_data = call.service == "s3" and name in S3_DATA_EVENTS
    if code in UNAUTHENTICATED:
        identity = Identity(type="Unknown", access_key=identity.access_key)
    event: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": build_identity(identity),
        "eventTime": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{call.service}.amazonaws.com",
        "eventName": name,
        "awsRegion": call.region,
        "sourceIPAddress": call.source_address,
        "userAgent": call.headers.get("user-agent", ""),
        "requestParameters": read_parameters(call),
        "responseElements": read_response(name, outcome),
        "additionalEventData": {"emulated": True},
        "requestID": outcome.headers.get("x-amzn-requestid") or outcome.headers.get("x-amz-request-id", ""),
        "eventID": str(uuid.uuid4()),
        "readOnly": name.startswith(READ_PREFIXES),
        "eventType": "AwsApiCall",
        "managementEvent": not is_data,
        "recipientAccountId": identity.account,
        "eventCategory": "Data" if is_data else "Management",
    }
    if code:
        event["errorCode"] = code
        event["errorMessage"] = message
    return event


def name_event(call: Call) -> str:
    """Return CloudTrail's name of the call, which for S3 is the operation, not IAM's action."""
    if call.service == "s3":
        return S3_EVENT_NAMES.get((call.method, call.action), call.action)
    return call.action


def build_identity(identity: Identity) -> dict[str, Any]:
    """Return the `userIdentity` element."""
    element: dict[str, Any] = {
        "type": identity.type,
        "principalId": identity.principal_id,
        "arn": identity.arn,
        "accountId": identity.account,
        "accessKeyId": identity.access_key,
        "userName": identity.user_name,
    }
    if identity.type == "AssumedRole":
        element["sessionContext"] = {
            "sessionIssuer": {
                "type": "Role",
                "principalId": identity.role_id,
                "arn": identity.role_arn,
                "accountId": identity.account,
                "userName": identity.role_arn.rsplit("/", 1)[-1],
            },
            "attributes": {"creationDate": _format_start(identity.session_started), "mfaAuthenticated": "false"},
        }
    return {key: value for key, value in element.items() if value}


def _format_start(seconds: float | None) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""


def read_error(outcome: Outcome) -> tuple[str, str]:
    """Return the error's code and message, or two empty texts for a success. A HEAD's error has only its status."""
    if outcome.status < min(STATUS_CODES):
        return "", ""
    fallback = STATUS_CODES.get(outcome.status, str(outcome.status))
    xml = _XML_CODE.search(outcome.body)
    if xml:
        message = _XML_MESSAGE.search(outcome.body)
        return xml.group(1).decode(), message.group(1).decode() if message else ""
    try:
        answer = json.loads(outcome.body)
        code = str(answer.get("__type") or answer.get("code") or fallback).rsplit("#", 1)[-1]
        return code, str(answer.get("message") or answer.get("Message") or "")
    except (ValueError, AttributeError):
        return fallback, ""


def read_parameters(call: Call) -> dict[str, Any] | None:
    """Return the request's parameters with lower-case initials, secrets hidden and data left out; None where none."""
    parameters: dict[str, Any] = {}
    if call.service == "s3":
        bucket, _, key = call.path.lstrip("/").partition("/")
        parameters.update({name: value for name, value in (("bucketName", bucket), ("key", key)) if value})
        query = {name: values for name, values in call.query.items() if not name.lower().startswith("x-amz-")}
        parameters.update(_flatten(query))
    elif "x-amz-target" in call.headers:
        parameters.update(_parse_json(call.body))
    else:
        parameters.update(_flatten(call.query))
        parameters.update(_flatten(parse_qs(call.body.decode("utf-8", "replace"))))
    for protocol in ("Action", "Version"):
        parameters.pop(protocol, None)
    clean = {_lower_initial(name): redact(name, value) for name, value in parameters.items()}
    return {name: value for name, value in clean.items() if name not in CONTENT_PARAMETERS} or None


def _flatten(values: Mapping[str, list[str]]) -> dict[str, Any]:
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _lower_initial(name: str) -> str:
    return name[:1].lower() + name[1:]


def redact(name: str, value: Any) -> Any:  # noqa: ANN401 - a parameter is any JSON
    """Return `value` with every secret in it hidden and long texts cut."""
    if SECRET_PARAMETERS.search(name):
        return REDACTED
    if isinstance(value, dict):
        return {key: redact(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [redact("", inner) for inner in value]
    if isinstance(value, str) and len(value) > PARAMETER_LIMIT:
        return value[:PARAMETER_LIMIT] + "..."
    return value


def read_response(name: str, outcome: Outcome) -> dict[str, Any] | None:
    """Return what CloudTrail keeps of a response: of AssumeRole the session's key id and name, never its secrets."""
    if name not in {"AssumeRole", "AssumeRoleWithWebIdentity"} or read_error(outcome)[0]:
        return None
    text = outcome.body.decode("utf-8", "replace")
    found = {tag: re.search(f"<{tag}>([^<]+)</{tag}>", text) for tag in _SESSION_TAGS}
    values = {tag: match.group(1) for tag, match in found.items() if match}
    return {
        "credentials": {"accessKeyId": values.get("AccessKeyId"), "expiration": values.get("Expiration")},
        "assumedRoleUser": {"assumedRoleId": values.get("AssumedRoleId"), "arn": values.get("Arn")},
    }


_SESSION_TAGS = ("AccessKeyId", "Expiration", "AssumedRoleId", "Arn")
