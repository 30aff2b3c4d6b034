"""The executor as a service: proves the gate, then works round by round until it is told to stop.

While Vault or a target is away it waits and goes on; nothing is lost, since all that is open stands in Vault. It must
not swallow an open gate: then it does not serve.
"""

from __future__ import annotations

import logging
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

from narrowgate.approvals.canary import prove_gate
from narrowgate.approvals.errors import ApprovalsError, LoginError, VaultDownError, VaultRefusedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from narrowgate.approvals.executor import Executor

logger = structlog.get_logger("narrowgate.approvals")
LONGEST_PAUSE_SECONDS: Final = 30.0


def serve(executor: Executor, *, every: float) -> None:
    """Work until `executor.stopping` is set, then finish the request in hand and log out.

    `every` is the seconds between two rounds while nothing moves.

    Raises:
        NoGateError: the gate does not hold; nothing was served.
        LoginError, VaultRefusedError: this executor was not let in to begin with.

    """
    stopping = executor.stopping
    _prove_when_up(executor, every)
    pause = every
    while not stopping.is_set():
        try:
            moved = executor.work()
            pause = 0.0 if moved else every
        except (VaultDownError, LoginError, VaultRefusedError) as error:
            # What let this executor in may be away for a moment (a token that is being replaced): wait, and try again.
            pause = _lengthen(pause, every)
            logger.warning("executor.waiting", code=error.code, words=str(error), seconds=pause)
            executor.forget_login()
        stopping.wait(pause)
    try:
        executor.log_out()
    except ApprovalsError as error:
        logger.warning("executor.not-logged-out", code=error.code)
    logger.info("executor.stopped", executor=executor.name)


def _prove_when_up(executor: Executor, every: float) -> None:
    pause = every
    while not executor.stopping.is_set():
        try:
            count = prove_gate(executor)
        except VaultDownError as error:
            logger.warning("executor.waiting", code=error.code, words=str(error), seconds=pause)
            executor.stopping.wait(pause)
            pause = _lengthen(pause, every)
        else:
            logger.info("executor.serving", executor=executor.name, tool=executor.tool, gated=count)
            return


def _lengthen(pause: float, every: float) -> float:
    return min(LONGEST_PAUSE_SECONDS, max(every, pause * 2))


@contextmanager
def stopped_by_signals(stopping: threading.Event) -> Iterator[None]:
    """Set `stopping` on SIGTERM and SIGINT; a second one ends the process as usual."""
    before: dict[int, Any] = {}

    def stop(number: int, _: object) -> None:
        stopping.set()
        signal.signal(number, before[number])

    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for restored, handler in before.items():
            signal.signal(restored, handler)


def log_as_json() -> None:
    """Write one JSON object a line to standard error; what is in it cannot break a line or a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("urllib3", "botocore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True, sort_keys=True),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
