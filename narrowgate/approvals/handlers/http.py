"""The handler `http`: one request to an internal service, with a bearer that opens nothing else.

    execute:
      handler: http
      method: POST
      path: [refunds, "${inputs.order}"]
      headers: {Idempotency-Key: "${digest}"}
      body: {amount: "${inputs.amount}"}
      read: {path: [orders, "${inputs.order}"], fields: {refunded: refund.amount}}
      changes: {refunded: "${inputs.amount}"}
      result: {refund: id}

Each part of a path is one segment, encoded, so that no input can leave its place; the address comes from the deploy.
`fields` and `result` are JMESPath over JSON. A request is sent once, follows no redirect and takes nothing from the
environment. Only what `result` names is kept of the answer.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from narrowgate.approvals.case import Change
from narrowgate.approvals.errors import DraftError, NotExecutedError, SettingsError, TargetDownError
from narrowgate.approvals.handlers.handler import Credentials, Plan, fill
from narrowgate.runtime.vault import ca_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import requests

TIMEOUT: Final = (5.0, 30.0)
MAX_ANSWER_BYTES: Final = 1_048_576
METHODS: Final = frozenset({"DELETE", "PATCH", "POST", "PUT"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_DONE: Final = range(200, 300)
_REFUSED: Final = range(400, 500)
_ABSENT: Final = frozenset({404, 410})
_REQUEST_TIMEOUT: Final = 408


class HttpRequest:
    """Sends one request; `connection` holds the service's `url`, and `ca_pem` where its CA is not the system's."""

    def plan(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        connection: Mapping[str, Any],
        reader: Credentials | None,
    ) -> Plan:
        """Read what stands there by the executor's own bearer, and say what the request makes of it."""
        method = str(execute["method"])
        if method not in METHODS:
            raise DraftError(f"{method!r} is no method that changes something.")
        url = _join(connection, fill(execute["path"], inputs))
        calls = {
            "method": method,
            "url": url,
            "headers": fill(execute.get("headers") or {}, inputs),
            "body": fill(execute.get("body"), inputs),
        }
        changes = fill(execute.get("changes") or {}, inputs)
        read = execute.get("read")
        if not read or reader is None:
            return Plan(calls, url, tuple(Change(k, None, v) for k, v in sorted(changes.items())), None)
        place = _join(connection, fill(read["path"], inputs))
        found = _read(place, read["fields"], connection, reader)
        return Plan(
            calls=calls,
            target=place,
            changes=tuple(Change(name, found.get(name), after) for name, after in sorted(changes.items())),
            watched=found,
        )

    def execute(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        late: Mapping[str, str],
        connection: Mapping[str, Any],
        gated: Credentials,
    ) -> Any:  # noqa: ANN401 - JSON
        """Send the request once; a refusal (4xx) is certain to have changed nothing, any other failure is not."""
        import requests

        url = _join(connection, fill(execute["path"], inputs, late))
        headers = {str(k): str(v) for k, v in fill(execute.get("headers") or {}, inputs, late).items()}
        body = fill(execute.get("body"), inputs, late)
        try:
            status, answer = _send(str(execute["method"]), url, connection, gated, headers=headers, body=body)
        except requests.RequestException as error:
            if _never_left(error):
                raise NotExecutedError(f"the service cannot be reached: {type(error).__name__}") from None
            raise
        if status in _REFUSED and status != _REQUEST_TIMEOUT:
            raise NotExecutedError(f"the service refused the request: HTTP {status}")
        if status not in _DONE:
            raise RuntimeError(f"HTTP {status}")  # whether it was done cannot be known: in doubt
        return {"status": status, **_select(execute.get("result") or {}, answer)}


def _read(url: str, fields: Mapping[str, str], connection: Mapping[str, Any], reader: Credentials) -> dict[str, Any]:
    import requests

    try:
        status, answer = _send("GET", url, connection, reader)
    except requests.RequestException as error:
        raise TargetDownError(f"The target cannot be read now: {type(error).__name__}") from None
    if status in _ABSENT:
        return {}
    if status in _DONE:
        return _select(fields, answer)
    if status in _REFUSED and status not in {_REQUEST_TIMEOUT, 429}:
        raise DraftError(f"The target cannot be read: HTTP {status}")
    raise TargetDownError(f"The target cannot be read now: HTTP {status}")


def _send(  # noqa: PLR0913 - a request has this many sides
    method: str,
    url: str,
    connection: Mapping[str, Any],
    bearer: Credentials,
    *,
    headers: Mapping[str, str] | None = None,
    body: Any = None,  # noqa: ANN401 - JSON
) -> tuple[int, Any]:
    """Send one request, and return its status and its answer's JSON (None where it is none, or too long)."""
    import requests

    with ca_file(connection.get("ca_pem")) as verify, requests.Session() as session:
        session.trust_env = False
        session.verify = verify
        own = {"Authorization": f"Bearer {bearer.values['token']}", "Accept": "application/json"}
        with session.request(
            method,
            url,
            headers={**(headers or {}), **own},
            json=body,
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as response:
            return response.status_code, _parse(response)


def _parse(response: requests.Response) -> Any:  # noqa: ANN401 - JSON
    content = b""
    for part in response.iter_content(65_536):
        content += part
        if len(content) > MAX_ANSWER_BYTES:
            return None
    try:
        return json.loads(content)
    except ValueError:
        return None


def _never_left(error: requests.RequestException) -> bool:
    """Return whether no connection was made, so that nothing can have been sent."""
    import requests
    from urllib3.exceptions import NewConnectionError

    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    if isinstance(error, requests.exceptions.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _join(connection: Mapping[str, Any], segments: Sequence[Any]) -> str:
    """Return the address of a path's segments; each is encoded whole, and none may be empty, `.` or `..`."""
    base = str(connection["url"]).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SettingsError(f"The service is at {base}: a bearer travels over https only.")
    texts = [str(segment) for segment in segments]
    if any(segment is None for segment in segments) or any(text in {"", ".", ".."} for text in texts):
        raise DraftError("A part of the path is empty, `.` or `..`.")
    return "/".join([base, *(quote(text, safe="") for text in texts)])


def _select(fields: Mapping[str, str], answer: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    import jmespath

    return {name: jmespath.search(expression, answer) for name, expression in sorted(fields.items())}
