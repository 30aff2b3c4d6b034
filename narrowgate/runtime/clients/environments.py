"""The surroundings of a child, one kind for each backend: which variables it gets, which it must not have.

A row of the table sets up what the client of such a tool reads, and says how to keep it fresh while the child runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from narrowgate.runtime.clients.aws_endpoint import LOOPBACK, serve_credentials
from narrowgate.runtime.clients.postgres_files import write_postgres_files
from narrowgate.runtime.clients.private_files import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from narrowgate.runtime.agent import Agent

# A child must not inherit other keys than its tool's: not the user's own, not those that could fetch more.
DROPPED: Final = re.compile(r"(AWS_|PG|VAULT_|BAO_|NARROWGATE_)")


@dataclass(frozen=True, slots=True)
class ChildEnvironment:
    """Variables for a child, and `refresh`, which brings files up to date and is cheap where nothing is due."""

    variables: Mapping[str, str] = field(repr=False)
    refresh: Callable[[], None]


def open_environment(agent: Agent, tool: str, folder: Path) -> AbstractContextManager[ChildEnvironment]:
    """Return the block in which a child of `tool` can work; private files go to `folder`, which the caller removes.

    Raises as `Agent.credential` does.
    """
    return _KINDS[agent.find_tool(tool).backend](agent, tool, folder)


def make_variables(inherited: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """Return what the child gets of its parent's variables, and its own."""
    return {name: value for name, value in inherited.items() if not DROPPED.match(name)} | dict(own)


@contextlib.contextmanager
def _open_aws(agent: Agent, tool: str, folder: Path) -> Iterator[ChildEnvironment]:  # noqa: ARG001 - one shape for all
    connection = agent.find_tool(tool).connection

    def read() -> dict[str, str]:
        keys, ends = agent.export_aws(tool)
        return {
            "AccessKeyId": str(keys.access_key),
            "SecretAccessKey": str(keys.secret_key),
            "Token": str(keys.token),
            "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    read()  # a refusal shows now, and not as the child's own error
    with serve_credentials(read) as (url, token):
        variables = {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": url,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
            "AWS_REGION": str(connection.get("region") or ""),
            "AWS_DEFAULT_REGION": str(connection.get("region") or ""),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **_bypass_proxy(),
        }
        if connection.get("endpoint_url"):
            variables["AWS_ENDPOINT_URL"] = str(connection["endpoint_url"])
        yield ChildEnvironment(variables, agent.keep)


def _bypass_proxy() -> dict[str, str]:
    """Return variables that keep the loopback endpoint off the user's proxy."""
    return {name: ",".join(filter(None, (os.environ.get(name, ""), LOOPBACK))) for name in ("NO_PROXY", "no_proxy")}


@contextlib.contextmanager
def _open_postgres(agent: Agent, tool: str, folder: Path) -> Iterator[ChildEnvironment]:
    variables: dict[str, str] = {}

    def refresh() -> None:
        variables.update(write_postgres_files(agent, tool, folder))

    refresh()
    yield ChildEnvironment(variables, refresh)


@contextlib.contextmanager
def _open_bearer(agent: Agent, tool: str, folder: Path) -> Iterator[ChildEnvironment]:
    file = folder / "token"

    def refresh() -> None:
        write_file(file, agent.bearer(tool).token)

    refresh()
    bearer = agent.bearer(tool)
    variables = {
        "NARROWGATE_BEARER": bearer.token,
        "NARROWGATE_BEARER_FILE": str(file),
        "NARROWGATE_AUDIENCE": bearer.audience,
    }
    yield ChildEnvironment(variables, refresh)


@contextlib.contextmanager
def _open_secret(agent: Agent, tool: str, folder: Path) -> Iterator[ChildEnvironment]:
    file = folder / "secret.json"

    def refresh() -> None:
        write_file(file, json.dumps(dict(agent.secret(tool).values)))

    refresh()
    values = {f"NARROWGATE_SECRET_{_name(name)}": value for name, value in agent.secret(tool).values.items()}
    yield ChildEnvironment({**values, "NARROWGATE_SECRET_FILE": str(file)}, refresh)


def _name(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", text.upper())


@contextlib.contextmanager
def _open_certificate(agent: Agent, tool: str, folder: Path) -> Iterator[ChildEnvironment]:
    file = folder / "certificate.pem"

    def refresh() -> None:
        held = agent.certificate(tool)
        # One file, so that key and certificate always belong together; TLS libraries read both from it.
        write_file(file, f"{held.key_pem}\n{held.certificate_pem}\n{held.chain_pem}\n")

    refresh()
    yield ChildEnvironment({"NARROWGATE_CERTIFICATE_FILE": str(file)}, refresh)


_KINDS: Final[Mapping[str, Callable[[Agent, str, Path], AbstractContextManager[ChildEnvironment]]]] = {
    "aws": _open_aws,
    "postgres": _open_postgres,
    "bearer": _open_bearer,
    "kv": _open_secret,
    "pki": _open_certificate,
}
