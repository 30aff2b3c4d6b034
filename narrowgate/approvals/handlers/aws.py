"""The handler `aws-call`: one call of the AWS API, by a session of a role that may do nothing else.

    execute:
      handler: aws-call
      call: {service: sqs, operation: SetQueueAttributes, arguments: {QueueUrl: "${inputs.queue}", Attributes: {…}}}
      read: {operation: GetQueueAttributes, arguments: {QueueUrl: "${inputs.queue}"}, fields: {DelaySeconds: Attributes.DelaySeconds}}
      changes: {DelaySeconds: "${inputs.seconds}"}
      result: {version: VersionId}

Arguments are checked against AWS's own model of the operation before anybody decides; `fields` and `result` are JMESPath
over an answer. A call is sent once and never repeated. Only what `result` names is kept of its answer, beside the
request's id, since answers may hold secrets.
"""  # noqa: E501 - a declaration reads best on one line

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from narrowgate.approvals.case import Change
from narrowgate.approvals.errors import DraftError, NotExecutedError, TargetDownError
from narrowgate.approvals.handlers.handler import Credentials, Plan, fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.client import BaseClient

CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 30
# Anything else of a refusal may come after the call was carried out.
_REFUSED: Final = range(400, 500)
_ABSENT: Final = ("NotFound", "NoSuch", "DoesNotExist", "NonExistent")
_NOT_FOUND: Final = 404
_REQUEST_TIMEOUT: Final = 408


class AwsCall:
    """Calls one operation; `connection` holds its `region`, and an `endpoint_url` where there is one."""

    def plan(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        connection: Mapping[str, Any],
        reader: Credentials | None,
    ) -> Plan:
        """Check the call, read what stands there by the executor's own session, and say what the call makes of it."""
        call = execute["call"]
        arguments = _without_nothing(fill(call["arguments"], inputs))
        client = _open(call["service"], connection, None)
        _check(client, call["operation"], arguments)
        calls = {"service": call["service"], "operation": call["operation"], "arguments": arguments}
        changes = fill(execute.get("changes") or {}, inputs)
        target = f"{call['service']}:{call['operation']}"
        read = execute.get("read")
        if not read or reader is None:
            return Plan(calls, target, tuple(Change(k, None, v) for k, v in sorted(changes.items())), None)
        asked = _without_nothing(fill(read["arguments"], inputs))
        found = self._read(_open(call["service"], connection, reader), read, asked)
        named = ", ".join(f"{name} = {value!r}" for name, value in sorted(asked.items()))
        return Plan(
            calls=calls,
            target=f"{call['service']} {named}",
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
        """Send the call once; a refusal of AWS is certain to have changed nothing, any other failure is not."""
        from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ParamValidationError

        call = execute["call"]
        arguments = _without_nothing(fill(call["arguments"], inputs, late))
        client = _open(call["service"], connection, gated)
        try:
            answer = _find(client, call["operation"])(**arguments)
        except ClientError as error:
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status in _REFUSED and status != _REQUEST_TIMEOUT:
                code = error.response.get("Error", {}).get("Code", status)
                raise NotExecutedError(f"AWS refused the call: {code}") from None
            raise
        except (ConnectTimeoutError, EndpointConnectionError) as error:
            raise NotExecutedError(f"AWS cannot be reached: {type(error).__name__}") from None
        except ParamValidationError:
            raise NotExecutedError("the arguments do not fit AWS's model of the operation") from None
        request = str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
        return {"request_id": request, **_select(execute.get("result") or {}, answer)}

    def _read(self, client: BaseClient, read: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            answer = _find(client, read["operation"])(**arguments)
        except ParamValidationError:
            raise DraftError("What is read does not fit AWS's model of the operation.") from None
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            if status == _NOT_FOUND or any(word in code for word in _ABSENT):
                return {}  # an answer to HEAD has no words, only a status
            if status in _REFUSED and "Throttl" not in code:
                raise DraftError(f"The target cannot be read: {code}") from None
            raise TargetDownError(f"The target cannot be read now: {code}") from None
        except BotoCoreError as error:
            raise TargetDownError(f"The target cannot be read now: {type(error).__name__}") from None
        return _select(read["fields"], answer)


def _open(service: str, connection: Mapping[str, Any], credentials: Credentials | None) -> BaseClient:
    """Return a client that takes nothing from its surroundings: no variable, no file, no proxy, no second try."""
    import botocore.session
    from botocore import UNSIGNED
    from botocore.config import Config
    from botocore.exceptions import UnknownServiceError

    values = {} if credentials is None else credentials.values
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},
        proxies={},
        signature_version=UNSIGNED if credentials is None else None,
    )
    session = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": (None, None, "/dev/null", None),
            "credentials_file": (None, None, "/dev/null", None),
        }
    )
    try:
        return session.create_client(
            service,
            region_name=connection.get("region"),
            endpoint_url=connection.get("endpoint_url"),
            aws_access_key_id=values.get("access_key"),
            aws_secret_access_key=values.get("secret_key"),
            aws_session_token=values.get("security_token") or values.get("session_token"),
            config=config,
        )
    except UnknownServiceError:
        raise DraftError(f"AWS has no service {service!r}.") from None


def _find(client: BaseClient, operation: str) -> Callable[..., dict[str, Any]]:
    from botocore import xform_name

    method: Callable[..., dict[str, Any]] = getattr(client, xform_name(operation))
    return method


def _check(client: BaseClient, operation: str, arguments: Mapping[str, Any]) -> None:
    """Raise DraftError where the arguments are not what AWS's model of the operation takes."""
    from botocore.model import OperationNotFoundError
    from botocore.validate import ParamValidator

    try:
        shape = client.meta.service_model.operation_model(operation).input_shape
    except OperationNotFoundError:
        raise DraftError(f"The service has no operation {operation!r}.") from None
    if shape is None:
        if arguments:
            raise DraftError(f"{operation} takes no arguments.")
        return
    # The report quotes values, which may be secrets: only what is wrong is told, and where.
    found = ParamValidator().validate(dict(arguments), shape)
    if found.has_errors():
        wrong = sorted({f"{name or operation} ({kind})" for kind, name, _ in found._errors})  # noqa: SLF001 - see above
        raise DraftError(f"The arguments do not fit AWS's model of {operation}: {', '.join(wrong)}.")


def _without_nothing(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out what the draft does not give: AWS takes a missing argument, and no null."""
    if isinstance(value, Mapping):
        return {name: _without_nothing(part) for name, part in value.items() if part is not None}
    return [_without_nothing(part) for part in value] if isinstance(value, list) else value


def _select(fields: Mapping[str, str], answer: Mapping[str, Any]) -> dict[str, Any]:
    import jmespath

    return {name: _to_json(jmespath.search(expression, answer)) for name, expression in sorted(fields.items())}


def _to_json(value: Any) -> Any:  # noqa: ANN401 - what botocore parses
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(name): _to_json(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_json(part) for part in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
