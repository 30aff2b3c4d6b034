"""What every Pulumi plugin process has in common: serve gRPC, say the port, end with the engine.

A plugin prints its bare port as the first line of stdout; the engine connects to it. This module knows nothing of
what is served.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent import futures
from typing import TYPE_CHECKING, Final, NoReturn

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LOOPBACK: Final = "127.0.0.1"
# States and programs are larger than gRPC's default of 4 MiB; this is what Pulumi's own SDKs allow.
GRPC_OPTIONS: Final = (
    ("grpc.max_receive_message_length", 400 << 20),
    ("grpc.max_send_message_length", 400 << 20),
)
PARENT_POLL_SECONDS: Final = 0.5


def start_server(
    register: Callable[[grpc.Server], None],
    *,
    threads: int,
    handlers: Sequence[grpc.GenericRpcHandler[bytes, bytes]] = (),
) -> tuple[grpc.Server, int]:
    """Start a gRPC server on a free loopback port and return it with its port."""
    server = grpc.server(
        futures.ThreadPoolExecutor(threads),
        handlers=list(handlers),
        options=GRPC_OPTIONS,
    )
    register(server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    return server, port


def serve(register: Callable[[grpc.Server], None], *, threads: int, at_end: Callable[[], None]) -> NoReturn:
    """Serve until the parent process is gone or a signal comes, then call `at_end` and exit."""
    parent = os.getppid()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    _server, port = start_server(register, threads=threads)
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine can't tell its plugins to end: they see it by the change of their parent.
    while os.getppid() == parent and not stop.wait(PARENT_POLL_SECONDS):
        pass
    at_end()
    # Not sys.exit: threads that wait for a program or for a server must not hold the process back.
    os._exit(0)
