"""The table of backends: one entry for each, one module for each.

This module must not know what a backend does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.compile.backends.aws import AWS
from narrowgate.compile.backends.backend import BackendCompiler
from narrowgate.compile.backends.bearer import BEARER
from narrowgate.compile.backends.kv import KV
from narrowgate.compile.backends.pki import PKI
from narrowgate.compile.backends.postgres import POSTGRES

if TYPE_CHECKING:
    from narrowgate.plan import Backend

BACKENDS: Final[dict[Backend, BackendCompiler]] = {entry.backend: entry for entry in (AWS, POSTGRES, BEARER, KV, PKI)}

__all__ = ["BACKENDS", "BackendCompiler"]
