"""What a rehearsal remembers between commands: which ports it chose and which processes it started.

The only writer of `state.json`. Files are replaced as a whole, so a crash leaves the old or the new one, and only the
owner can read them. It must not start, stop or ask any server.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal.errors import RehearsalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rehearsal.layout import EnvironmentLayout, Layout

VERSION = 2
_CHANGING = threading.Lock()
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One started process: a later process with the same `pid` has another `created` (seconds since the epoch)."""

    pid: int
    created: float


@dataclass(slots=True)
class State:
    """Remembered ports and processes, by the part's name."""

    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, ProcessRecord] = field(default_factory=dict)


def make_folder(path: Path) -> Path:
    """Make `path` a folder that only its owner can enter, and return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, content: str | bytes) -> None:
    """Replace the file `path` by `content` at once, readable by its owner only."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_secret(path: Path) -> str:
    """Return the random secret in the file `path`; it is made on the first call and 32 bytes strong."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        write_private(path, secrets.token_urlsafe(32))
        return path.read_text().strip()


def read_state(layout: Layout) -> State:
    """Return what is remembered; an empty state where there is none.

    Raises:
        RehearsalError: the file is damaged or of a newer version.

    """
    try:
        raw = json.loads(layout.state_file.read_text())
        if raw["version"] != VERSION:
            raise RehearsalError(
                f"{layout.state_file} has version {raw['version']}, this checkout knows {VERSION}",
                hint="`narrowgate rehearsal reset` starts afresh",
            )
        processes = {name: ProcessRecord(**record) for name, record in raw["processes"].items()}
        return State(ports=dict(raw["ports"]), processes=processes)
    except FileNotFoundError:
        return State()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RehearsalError(
            f"{layout.state_file} is damaged: {error}", hint="`narrowgate rehearsal reset` starts afresh"
        ) from error


def write_state(layout: Layout, state: State) -> None:
    """Remember `state`."""
    make_folder(layout.root)
    write_private(layout.state_file, json.dumps({"version": VERSION, **asdict(state)}, indent=2, sort_keys=True) + "\n")


@contextlib.contextmanager
def change_state(layout: Layout) -> Iterator[State]:
    """Give what is remembered to change, and remember it; threads that start servers side by side take turns."""
    with _CHANGING:
        state = read_state(layout)
        before = json.dumps(asdict(state))
        yield state
        if json.dumps(asdict(state)) != before:
            write_state(layout, state)


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on the loopback `port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(layout: Layout, name: str) -> int:
    """Return the remembered port of the part `name` if it is free, else choose and remember another.

    Call it only while that part is not running: its own port would look taken.
    """
    with change_state(layout) as state:
        port = state.ports.get(name)
        if port is None or not is_port_free(port):
            others = {value for key, value in state.ports.items() if key != name}
            port = state.ports[name] = _find_free_port(others)
    return port


def check_deployed_port(layout: EnvironmentLayout, server: str) -> None:
    """Check that the port of `server`, which what is deployed names, is still to be had. Call it only while it is down.

    Raises:
        RehearsalError: another program has taken it since.

    """
    port = read_state(layout).ports.get(layout.part(server))
    if port is not None and any(layout.manifests.glob("*.json")) and not is_port_free(port):
        raise RehearsalError(
            f"another program has taken port {port}, which what is deployed names as that of {server}",
            hint="end that program and run `make rehearsal` again, or start afresh with `narrowgate rehearsal reset`",
        )


def _find_free_port(taken: set[int]) -> int:
    """Return a free loopback port that is not in `taken`."""
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port


def get_port(layout: Layout, name: str) -> int:
    """Return the remembered port of the part `name`.

    Raises:
        RehearsalError: none was chosen yet.

    """
    port = read_state(layout).ports.get(name)
    if port is None:
        raise RehearsalError(f"the rehearsal has no {name} yet", hint="start it with `make rehearsal`")
    return port


@contextlib.contextmanager
def hold_lock(layout: Layout, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the rehearsal's lock, so that two commands never change it at once; `on_wait` is called before waiting."""
    make_folder(layout.root)
    with layout.lock_file.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
