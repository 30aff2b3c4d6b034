"""Cuts off AWS sessions that were issued before a moment: STS credentials go on working after their lease is revoked.

The cut is an inline policy of the role that denies by `aws:TokenIssueTime`, as AWS's own "revoke active sessions" does
(IAM User Guide, "Revoke IAM role temporary security credentials"). It stays after a restore: a session that was cut
stays cut, a new one is not touched. This module must not allow anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from narrowgate.compile import names
from narrowgate.operations.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICY_NAME: Final = names.REVOKED_POLICY
LONGEST_SESSION: Final = timedelta(hours=12)
"""The most that IAM's MaxSessionDuration allows: an older cut has nothing left to cut."""
MARGIN: Final = timedelta(seconds=5)
"""Added to our clock, so that a session issued just now by a clock a little ahead of ours is cut too."""
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
SIZE_LIMIT: Final = 9000
"""Characters that the cut may take of a role's 10,240 for inline policies, beside what the tool itself needs."""


@dataclass(frozen=True, slots=True)
class RoleSessions:
    """The sessions of one IAM role: by name, in the account that `client` (boto3's iam) talks to."""

    role: str
    client: Any

    def cut(self, session_name: str | None, now: datetime) -> Mapping[str, Any]:
        """Deny every session issued until `now`, or only those called `session_name`; return the role's new cut.

        Raises:
            OperationError: AWS refused, or there are too many cuts of single users at once for one role.

        """
        before = (now + MARGIN).astimezone(UTC)
        statements = [held for held in self._read() if _cuts_something(held, now)]
        statements = [*statements, deny(session_name, before)]
        if session_name is None:  # it covers whatever was cut before
            statements = [deny(None, before)]
        document = {"Version": "2012-10-17", "Statement": statements}
        text = json.dumps(document, separators=(",", ":"))
        if len(text) > SIZE_LIMIT:
            raise OperationError(
                f"The role {self.role} has too many sessions cut one by one: IAM has no room for another.",
                hint="Revoke the whole workflow; its cut is one statement.",
            )
        self._call("put_role_policy", PolicyDocument=text)
        return document

    def is_cut_as(self, document: Mapping[str, Any]) -> bool:
        """Return whether the role's cut, read again, is `document`."""
        return bool(self._read() == document["Statement"])

    def _read(self) -> list[dict[str, Any]]:
        try:
            answer = self.client.get_role_policy(RoleName=self.role, PolicyName=POLICY_NAME)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchEntity":
                return []
            raise self._refused(error) from None
        except BotoCoreError as error:
            raise self._refused(error) from None
        document = answer["PolicyDocument"]
        document = json.loads(document) if isinstance(document, str) else document
        statements: list[dict[str, Any]] = document["Statement"]
        return statements

    def _call(self, method: str, **arguments: str) -> None:
        try:
            getattr(self.client, method)(RoleName=self.role, PolicyName=POLICY_NAME, **arguments)
        except (ClientError, BotoCoreError) as error:
            raise self._refused(error) from None

    def _refused(self, error: ClientError | BotoCoreError) -> OperationError:
        return OperationError(
            f"AWS refused to cut the sessions of {self.role}: {error}",
            hint="Work with the operator's AWS identity (AWS_PROFILE), in this environment's account.",
        )


def deny(session_name: str | None, before: datetime) -> dict[str, Any]:
    """Return the statement that denies everything to sessions issued before `before` (of one name only, if given)."""
    condition: dict[str, Any] = {"DateLessThan": {"aws:TokenIssueTime": before.strftime(TIME_FORMAT)}}
    if session_name is not None:
        # a role session's userid is `<role id>:<session name>`, and a session name holds neither `*` nor `?`
        condition["StringLike"] = {"aws:userid": f"*:{session_name}"}
    return {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}


def _cuts_something(statement: Mapping[str, Any], now: datetime) -> bool:
    text = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
    return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC) > now - LONGEST_SESSION
