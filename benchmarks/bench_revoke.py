"""How long a workflow with 500 live leases still works after `narrowgate revoke` began, and its ratio to bare Vault.

Half of the leases are AWS sessions, half are database logins. The clock runs from the call until Vault refuses the
agent's token, PostgreSQL has none of the logins left and refuses the last one, and the emulated AWS refuses the last
session. Target: 5 s. Bare is `revoke-prefix` of the same three paths and nothing else: no record, no cut of sessions
(which go on then), nothing verified. Both take turns. Afterwards every single credential is tried once.

Run: python benchmarks/bench_revoke.py [--leases N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from botocore.exceptions import ClientError

from narrowgate.operations.revoking import restore, revoke
from narrowgate.operations.sessions import MARGIN
from narrowgate.operations.steps import Operator
from narrowgate.operations.target import Target, read_target
from narrowgate.operations.vault import VaultOperator, open_operator
from narrowgate.runtime.manifest import read_manifest
from narrowgate.runtime.versioned import load_object
from rehearsal import aws, bao, postgres
from rehearsal.live import open_rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rehearsal.live import LiveRehearsal

WORKFLOW, USER, GROUPS = "incident-summarization", "alice", ["on-call"]
AWS_TOOL, DATABASE_TOOL = "logs", "incidents"
POLL_SECONDS, AT_ONCE = 0.02, 8


@dataclass(frozen=True)
class Held:
    """What the agent holds: its token, AWS sessions and database logins, in the order in which they were had."""

    token: str
    sessions: list[aws.AccessKey]
    logins: list[tuple[str, str]]


def fetch(live: LiveRehearsal, manifest: Mapping[str, Any], leases: int) -> Held:
    """Log the agent in and have it fetch its credentials."""
    login, paths = manifest["login"], {name: tool["path"] for name, tool in manifest["tools"].items()}
    jwt = live.token(USER, WORKFLOW, groups=GROUPS)
    answer = bao.open_client(live.layout).write_data(
        f"auth/{login['mount']}/login", data={"role": login["role"], "jwt": jwt}
    )
    token = str(answer["auth"]["client_token"])
    client = bao.open_client(live.layout, token)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        keys = list(pool.map(lambda _: client.read(paths[AWS_TOOL])["data"], range(leases // 2)))
        logins = list(pool.map(lambda _: client.read(paths[DATABASE_TOOL])["data"], range(leases - leases // 2)))
    return Held(
        token,
        [aws.AccessKey(key["access_key"], key["secret_key"], key["security_token"]) for key in keys],
        [(login["username"], login["password"]) for login in logins],
    )


def vault_refuses(live: LiveRehearsal, held: Held) -> bool:
    """Tell whether the agent's token is dead."""
    try:
        bao.open_client(live.layout, held.token).auth.token.lookup_self()
    except Exception:  # noqa: BLE001 - whatever Vault says, it is no yes
        return True
    return False


def aws_refuses(live: LiveRehearsal, key: aws.AccessKey) -> bool:
    """Tell whether a session is cut off."""
    try:
        live.aws("logs", key).filter_log_events(logGroupName="/app/payments", limit=1)
    except ClientError as error:
        return "AccessDenied" in str(error)
    return False


def database_refuses(live: LiveRehearsal, login: tuple[str, str]) -> bool:
    """Tell whether a login opens no connection any more."""
    user, password = login
    try:
        psycopg.connect(
            host="127.0.0.1", port=live.port(postgres.NAME), dbname=postgres.DATABASE, user=user, password=password
        ).close()
    except psycopg.OperationalError:
        return True
    return False


def no_login_is_left(live: LiveRehearsal, admin: psycopg.Connection[Any], held: Held) -> bool:
    """Tell whether PostgreSQL knows none of the logins, and so refuses the last of them."""
    names = [name for name, _ in held.logins]
    row = admin.execute("SELECT count(*) FROM pg_roles WHERE rolname = ANY(%s)", [names]).fetchone()
    return row is not None and row[0] == 0 and database_refuses(live, held.logins[-1])


def time_until(work: Callable[[], None], refused: Mapping[str, Callable[[], bool]]) -> tuple[float, dict[str, float]]:
    """Do `work`; return its seconds, and the seconds from its start until each of `refused` first held."""
    started, seen = time.perf_counter(), dict[str, float]()

    def watch(name: str, is_refused: Callable[[], bool]) -> None:
        while not is_refused():
            time.sleep(POLL_SECONDS)
        seen[name] = time.perf_counter() - started

    threads = [threading.Thread(target=watch, args=pair) for pair in refused.items()]
    for thread in threads:
        thread.start()
    work()
    took = time.perf_counter() - started
    for thread in threads:
        thread.join()
    return took, seen


def revoke_bare(vault: VaultOperator, target: Target) -> float:
    """Revoke the same leases by Vault's own call alone, and return its seconds."""
    started = time.perf_counter()
    for path in (target.login_path, *target.lease_paths):
        vault.write(f"sys/leases/revoke-prefix/{path}", sync=True)
    return time.perf_counter() - started


def run(live: LiveRehearsal, vault: VaultOperator, leases: int) -> tuple[float, float, dict[str, float]]:
    """Return the seconds of bare Vault, of our whole command, and until each system refused."""
    manifest = load_object(live.manifest(WORKFLOW), "The manifest", RuntimeError)
    target = read_target(manifest)
    role = f"auth/{read_manifest(manifest).auth_mount}/role/{target.auth_role}"
    fetch(live, manifest, leases)
    bare = revoke_bare(vault, target)
    held, settings = fetch(live, manifest, leases), live.vault().read(role)["data"]
    operator = Operator(vault, live.aws("iam"), "bench")
    with live.postgres(postgres.SUPERUSER) as admin:
        admin.autocommit = True
        took, seen = time_until(
            lambda: require(revoke(target, operator, "a benchmark", lambda _: None).held),
            {
                "Vault": lambda: vault_refuses(live, held),
                "PostgreSQL": lambda: no_login_is_left(live, admin, held),
                "AWS (emulated)": lambda: aws_refuses(live, held.sessions[-1]),
            },
        )
    with ThreadPoolExecutor(AT_ONCE) as pool:
        require(all(pool.map(lambda key: aws_refuses(live, key), held.sessions)))
        require(all(pool.map(lambda login: database_refuses(live, login), held.logins)))
    restore(target, operator, lambda _: None)
    live.vault().write_data(role, data=settings)
    time.sleep(2 * MARGIN.total_seconds())  # a session that is issued too soon would be cut by the last round
    return bare, took, seen


def require(held: bool) -> None:  # noqa: FBT001 - it is the claim
    """End the run where what is measured does not hold."""
    if not held:
        raise SystemExit("not everything was revoked: there is nothing to measure")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leases", type=int, default=500, help="how many live leases")
    parser.add_argument("--rounds", type=int, default=3, help="how often")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open_rehearsal(Path(folder) / "state") as live:
        os.environ["VAULT_TOKEN"] = bao.log_in_operator(live.layout)
        with open_operator(bao.get_address(live.layout), verify=str(live.layout.ca_certificate)) as vault:
            rounds = [run(live, vault, arguments.leases) for _ in range(arguments.rounds)]
    for name in rounds[0][2]:
        print(f"{name} refuses the last one after {statistics.median(seen[name] for _, _, seen in rounds):.2f} s")
    last = statistics.median(max(seen.values()) for _, _, seen in rounds)
    bare = statistics.median(bare for bare, _, _ in rounds)
    ratio = statistics.median(max(seen.values()) / bare for bare, _, seen in rounds)
    took = statistics.median(took for _, took, _ in rounds)
    print(f"{arguments.leases} leases: the last is refused after {last:.2f} s (target: 5)")
    print(f"bare revoke-prefix {bare:.2f} s: {ratio:.2f} x; with every step verified {took:.2f} s")


if __name__ == "__main__":
    main()
