"""The process `pulumi-language-python`: its last argument is the engine's address."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pulumi.runtime.proto import language_pb2_grpc

from rehearsal.host.children import Children
from rehearsal.host.language import LanguageHost
from rehearsal.plugin_process import serve

if TYPE_CHECKING:
    import grpc

THREADS = 32  # Run and RunPlugin each hold one for as long as their program lives

if __name__ == "__main__":
    children = Children()
    engine = next((argument for argument in reversed(sys.argv[1:]) if not argument.startswith("-")), "")
    host = LanguageHost(engine, children)

    def register(server: grpc.Server) -> None:
        """Offer the language host on `server`."""
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)

    serve(register, threads=THREADS, at_end=children.stop_all)
