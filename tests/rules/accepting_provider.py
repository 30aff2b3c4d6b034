"""A Pulumi provider that accepts every resource of any type and writes down what it was asked to create.

The rules' tests need no servers: what counts is what the engine asks of a provider after the pack has spoken. Run as
a plugin: `python accepting_provider.py VERSION FILE ENGINE`; each creation adds the resource's URN to FILE.
"""

# ruff: noqa: ANN401, ARG002, N802 -- the protocol names the methods and gives each the same two arguments

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rehearsal.doubles.wire import UNKNOWN, dump, load
from rehearsal.plugin_process import serve

UNKNOWN_UNTIL_CREATED = ("arn", "accessor", "uniqueId")


class AcceptingProvider(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, version: str, created: Path) -> None:
        self._version = version
        self._created = created
        self._lock = threading.Lock()

    def Handshake(self, request: Any, context: Any) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._version)

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    def Check(self, request: Any, context: Any) -> Any:
        inputs = load(request.news)
        if ":iam/" in request.urn:  # the real provider names what the program leaves unnamed
            inputs.setdefault("name", request.urn.rsplit("::", 1)[-1] + "-1a2b3c4")
        return provider_pb2.CheckResponse(inputs=dump(inputs))

    def Diff(self, request: Any, context: Any) -> Any:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Create(self, request: Any, context: Any) -> Any:
        inputs = load(request.properties)
        name = request.urn.rsplit("::", 1)[-1]
        if request.preview:
            return provider_pb2.CreateResponse(
                properties=dump({**inputs, **dict.fromkeys(UNKNOWN_UNTIL_CREATED, UNKNOWN)})
            )
        with self._lock, self._created.open("a") as file:
            file.write(request.urn + "\n")
        kind = "policy" if ":Policy" in request.urn else "role"
        outputs = {"arn": f"arn:aws:iam::111111111111:{kind}/{inputs.get('name', name)}", "accessor": f"auth_{name}"}
        return provider_pb2.CreateResponse(id=str(inputs.get("name", name)), properties=dump({**inputs, **outputs}))

    def Delete(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


if __name__ == "__main__":
    provider = AcceptingProvider(sys.argv[1], Path(sys.argv[2]))
    serve(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server),
        threads=8,
        at_end=lambda: None,
    )
