"""A Vault that answers as a test scripts it, a clock that a test moves, and the manifest that both are for.

Not a test module: what the tests of the runtime share.
"""

from __future__ import annotations

import json
from typing import Any

import requests

from narrowgate.runtime import clock as runtime_clock

JWT = "eyJhbGciOiJFUzI1NiJ9.the-users-token.signature"
TOKEN = "hvs.the-agents-vault-token"
PASSWORD = "the-database-password-123"
MANIFEST: dict[str, Any] = {
    "version": 1,
    "workflow": "summaries",
    "environment": "dev",
    "vault": {"address": "https://vault.test:8200"},
    "login": {"mount": "agents/summaries", "role": "agent", "audience": "narrowgate:dev:summaries"},
    "tools": {
        "incidents": {
            "backend": "postgres",
            "path": "narrowgate-database/creds/summaries.incidents",
            "actions": {
                "read": {"access": "read", "impact": "low", "gated": False},
                "close": {"access": "write", "impact": "high", "gated": True},
            },
            "connection": {"host": "127.0.0.1", "port": 1, "database": "operations", "sslmode": "disable"},
        },
        "logs": {
            "backend": "aws",
            "path": "narrowgate-aws/sts/summaries.logs",
            "actions": {"search": {"access": "read", "impact": "low", "gated": False}},
            "connection": {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"},
        },
        "crm": {
            "backend": "bearer",
            "path": "identity/oidc/token/summaries.crm",
            "actions": {"note": {"access": "write", "impact": "low", "gated": False}},
            "connection": {"audience": "https://crm.test", "issuer": "https://vault.test:8200/v1/identity/oidc"},
        },
        "pager": {
            "backend": "kv",
            "path": "narrowgate-kv/data/pager/keys",
            "actions": {"page": {"access": "write", "impact": "low", "gated": False}},
            "connection": {"static": True, "max_age_seconds": 3600},
        },
        "payouts": {
            "backend": "postgres",
            "actions": {"pay": {"access": "write", "impact": "high", "gated": True}},
        },
    },
}


class Vault:
    """Answers requests by path: a status with a JSON body, an exception, or a list of them in turn."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: dict[str, Any] = {
            "auth/agents/summaries/login": (200, self.auth()),
            "auth/token/renew-self": (200, self.auth()),
            "auth/token/lookup-self": (200, {"data": {}}),
            "auth/token/revoke-self": (204, None),
            "narrowgate-database/creds/summaries.incidents": (200, self.lease(username="v-1", password=PASSWORD)),
            "identity/oidc/token/summaries.crm": (200, {"data": {"token": "the-signed-token-1", "ttl": 300}}),
            "narrowgate-kv/data/pager/keys": (
                200,
                {
                    "data": {
                        "data": {"key": PASSWORD},
                        "metadata": {"version": 3, "created_time": "2020-01-01T00:00:00Z"},
                    }
                },
            ),
            "narrowgate-aws/sts/summaries.logs": (
                200,
                self.lease(access_key="ASIA", secret_key="the-secret-key-1", security_token="the-session-1"),
            ),
        }

    @staticmethod
    def auth(token: str = TOKEN, seconds: int = 900) -> dict[str, Any]:
        return {"auth": {"client_token": token, "lease_duration": seconds, "renewable": True}}

    @staticmethod
    def lease(**data: str) -> dict[str, Any]:
        return {"lease_id": "some/lease", "lease_duration": 900, "data": data}

    def request(self, method: str, url: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - as requests has them
        assert url.startswith("https://vault.test:8200/v1/")
        assert arguments["allow_redirects"] is False
        assert 0 < max(arguments["timeout"]) < 60
        path = url.partition("/v1/")[2]
        self.calls.append((method.upper(), path, arguments["headers"], arguments.get("json")))
        answer = self.answers[path]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, body = answer
        response._content = b"" if body is None else json.dumps(body).encode()  # noqa: SLF001 - requests has no other way
        return response

    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.calls]


def errors(*words: str) -> dict[str, list[str]]:
    return {"errors": list(words)}


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0
        self.real = runtime_clock.read

    def __call__(self) -> float:
        return self.real() + self.ahead
