"""What the AWS CLI and SDKs expect of a `credential_process`: one JSON object, and an honest time at which it ends.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from narrowgate.runtime.agent import Agent


def render_credential_process(agent: Agent, tool: str) -> str:
    """Return the JSON for `tool`. The caller may cache it until `Expiration`, which is never later than STS's own.

    Raises as `Agent.credential` does.
    """
    keys, ends = agent.export_aws(tool)
    return json.dumps(
        {
            "Version": 1,
            "AccessKeyId": keys.access_key,
            "SecretAccessKey": keys.secret_key,
            "SessionToken": keys.token,
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
