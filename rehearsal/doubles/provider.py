"""The calls of `pulumirpc.ResourceProvider` over a table of resource types.

Everything that a program marked as secret, and everything that a type declares as secret, stays marked on the way back:
the engine then encrypts it in its state. Errors of the server reach the user as one line, without its traceback.
"""
# ruff: noqa: N802, ARG002 -- the protocol names the methods and gives each the same two arguments

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rehearsal.doubles.resource import DEFAULTS, C, DoubleError, Live, ResourceType
from rehearsal.doubles.wire import UNKNOWN, Values, dump, has_unknown, load, secret_names
from rehearsal.plugin_process import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf import struct_pb2

T = TypeVar("T")
THREADS = 32
RequestOfType = (
    provider_pb2.CheckRequest
    | provider_pb2.DiffRequest
    | provider_pb2.CreateRequest
    | provider_pb2.ReadRequest
    | provider_pb2.UpdateRequest
    | provider_pb2.DeleteRequest
)


@dataclass(frozen=True, slots=True)
class Package(Generic[C]):
    """One double: types and functions by token, the settings it knows, how it connects, a server's errors.

    `connect` gets the provider's settings; `functions` get their arguments and the client.
    """

    name: str
    version: str
    text_settings: frozenset[str]
    json_settings: frozenset[str]  # the SDK sends everything that is not text as JSON text
    types: Mapping[str, ResourceType[C]]
    functions: Mapping[str, Callable[[C, Values], Values]]
    connect: Callable[[Values], C]
    errors: tuple[type[Exception], ...]  # what the server's client raises


class Provider(provider_pb2_grpc.ResourceProviderServicer, Generic[C]):
    """Serves one configured instance of a package."""

    def __init__(self, package: Package[C]) -> None:
        self._package = package
        self._client: C | None = None

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Say what this provider understands."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Take an engine's address (a debugging engine sends it); nothing here calls the engine."""
        return empty_pb2.Empty()

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Let the running calls finish: each is one short request to a server."""
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Say which version of the provider this stands for."""
        return plugin_pb2.PluginInfo(version=self._package.version)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Return an empty schema: the SDKs are installed, nothing is generated from it."""
        schema = {"name": self._package.name, "version": self._package.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def GetMapping(
        self, request: provider_pb2.GetMappingRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetMappingResponse:
        """Return no mapping from another tool's types."""
        return provider_pb2.GetMappingResponse()

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Refuse settings that this double would ignore: an ignored setting may be the one that protects."""
        failures = [
            provider_pb2.CheckFailure(
                property=name,
                reason=f"the rehearsal's double of the {self._package.name} provider has no setting {name}",
            )
            for name in sorted(load(request.news).keys() - self._package.text_settings - self._package.json_settings)
            if not name.startswith("__")
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Say whether the settings changed; a change never replaces what was made with the old ones."""
        old, new = load(request.old_inputs), load(request.news)
        diffs = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]
        some = provider_pb2.DiffResponse.DIFF_SOME if diffs else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=some, diffs=diffs)

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Connect, where all settings are known; at preview an unknown address means that nothing can be read."""
        settings = load(request.args)
        if not has_unknown(settings):
            self._client = self._ask(context, self._package.connect, self._decode(settings))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def Invoke(self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext) -> provider_pb2.InvokeResponse:
        """Call a function."""
        function = self._package.functions.get(request.tok)
        if function is None:
            _refuse(context, f"the rehearsal's double of {self._package.name} has no function {request.tok}")
        result = self._ask(context, function, self._connected(context), load(request.args))
        return provider_pb2.InvokeResponse(**{"return": dump(result, secret_names(request.args))})

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Complete and judge inputs."""
        kind = self._type(request, context)
        name = request.name or request.urn.rsplit("::", 1)[-1]
        inputs, failures = kind.check(name, request.randomSeed, load(request.olds), load(request.news))
        return provider_pb2.CheckResponse(
            inputs=dump(inputs, secret_names(request.news) | kind.secrets),
            failures=[provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures],
        )

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Say what changes, and whether in place."""
        kind = self._type(request, context)
        new = load(request.news)
        changes = kind.diff(load(request.old_inputs), new, request.ignoreChanges)
        replaces = [change.property for change in changes if change.replace]
        moved = kind.identity & {change.property for change in changes}
        generated = kind.identity & set(new.get(DEFAULTS, ()))
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=[change.property for change in changes],
            replaces=replaces,
            detailedDiff={
                change.property: provider_pb2.PropertyDiff(
                    kind=getattr(provider_pb2.PropertyDiff, change.kind + ("_REPLACE" if change.replace else "")),
                    inputDiff=True,
                )
                for change in changes
            },
            hasDetailedDiff=True,
            stables=[] if replaces else sorted(kind.computed),
            # Two resources of one name can't live side by side, unless the new one gets a name of its own.
            deleteBeforeReplace=bool(replaces) and not moved and not generated,
        )

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Create; at preview, say what will be known only then."""
        kind = self._type(request, context)
        inputs = load(request.properties)
        if request.preview:
            outputs = {**_state(inputs), **dict.fromkeys(kind.computed, UNKNOWN)}
            return provider_pb2.CreateResponse(properties=_marked(kind, outputs, request.properties))
        resource_id, more = self._ask(context, kind.create, self._connected(context), inputs)
        return provider_pb2.CreateResponse(
            id=resource_id, properties=_marked(kind, {**_state(inputs), **more}, request.properties)
        )

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """Read what the server has (refresh, import); an empty answer says that the resource is gone."""
        kind = self._type(request, context)
        live: Live | None = self._ask(context, kind.read, self._connected(context), request.id)
        if live is None:
            return provider_pb2.ReadResponse()
        old = load(request.inputs)
        inputs = kind.refresh(live, old)
        outputs = {**load(request.properties), **live.inputs, **_state(inputs), **live.outputs}
        secrets = secret_names(request.inputs) | secret_names(request.properties) | kind.secrets
        return provider_pb2.ReadResponse(
            id=request.id,
            inputs=dump(inputs, secrets),
            properties=dump(outputs, secrets),
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Change in place."""
        kind = self._type(request, context)
        new = load(request.news)
        kept = {key: value for key, value in load(request.olds).items() if key in kind.computed}
        more: Values = {}
        if not request.preview and kind.update is not None:
            old = load(request.old_inputs)
            more = self._ask(context, kind.update, self._connected(context), request.id, old, new)
        return provider_pb2.UpdateResponse(properties=_marked(kind, {**_state(new), **kept, **more}, request.news))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Delete; a resource that is gone already is no failure."""
        kind = self._type(request, context)
        self._ask(context, kind.delete, self._connected(context), request.id, load(request.properties))
        return empty_pb2.Empty()

    def _type(self, request: RequestOfType, context: grpc.ServicerContext) -> ResourceType[C]:
        token = request.type or request.urn.split("::")[-2].rsplit("$", 1)[-1]
        kind = self._package.types.get(token)
        if kind is None:
            _refuse(context, f"the rehearsal's double of {self._package.name} has no resource type {token}")
        return kind

    def _connected(self, context: grpc.ServicerContext) -> C:
        if self._client is None:
            _refuse(context, f"the {self._package.name} provider's settings are not known yet")
        return self._client

    def _ask(self, context: grpc.ServicerContext, call: Callable[..., T], *arguments: object) -> T:
        """Return what `call` does; the server's refusal becomes the engine's error, on one line."""
        try:
            return call(*arguments)
        except (DoubleError, *self._package.errors) as error:  # type: ignore[misc]  # mypy can't see that all are types
            context.abort(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")

    def _decode(self, settings: Values) -> Values:
        decoded = dict(settings)
        for name in self._package.json_settings & settings.keys():
            if isinstance(settings[name], str):
                decoded[name] = json.loads(settings[name])
        return decoded


def run_double(package: Package[C]) -> NoReturn:
    """Serve `package` as a plugin process."""
    provider = Provider(package)

    def register(server: grpc.Server) -> None:
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)

    serve(register, threads=THREADS, at_end=lambda: None)


def _refuse(context: grpc.ServicerContext, message: str) -> NoReturn:
    context.abort(grpc.StatusCode.UNIMPLEMENTED, message)


def _state(inputs: Values) -> Values:
    return {key: value for key, value in inputs.items() if key != DEFAULTS}


def _marked(kind: ResourceType[C], outputs: Values, given: struct_pb2.Struct) -> struct_pb2.Struct:
    return dump(outputs, secret_names(given) | kind.secrets)
