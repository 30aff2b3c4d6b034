"""Where this room's few warnings go: through `logging`, so to standard error unless the agent's code says otherwise.

An agent may speak its protocol over standard output, where structlog, and stamina with it, would print by default. No
line may hold a token, a credential or a path's answer.
"""

from __future__ import annotations

import logging

import stamina.instrumentation
import structlog

logger = structlog.wrap_logger(
    logging.getLogger("narrowgate.runtime"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[structlog.processors.KeyValueRenderer(key_order=["event"])],
)


def keep_standard_output_free() -> None:
    """Have stamina's notes on retries go the same way, unless the agent's code has configured structlog."""
    if not structlog.is_configured():
        stamina.instrumentation.set_on_retry_hooks([stamina.instrumentation.LoggingOnRetryHook])
