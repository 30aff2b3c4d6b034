"""The pack as the engine's protocol has it: it is asked about each resource, and once more about the whole stack.

The SDK's own `PolicyPack` lets `--policy-pack-config` turn any policy off, and asks each policy in turn about each
resource, unpacking that for each. So this module serves the protocol itself: every rule is mandatory, a configuration
that says otherwise ends the run before its program starts, and a resource is unpacked once. It must not judge.
"""
# ruff: noqa: N802, ARG002 -- the protocol names the methods and gives each the same two arguments

from __future__ import annotations

import sys
import threading
import traceback
from concurrent import futures
from typing import TYPE_CHECKING, Final

import grpc
import pulumi
from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # protobuf ships no types
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from narrowgate.rules import RULES
from narrowgate_policies.pack import Judged, Pack
from narrowgate_policies.wording import violation_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from narrowgate.rules import Finding

NAME: Final = "narrowgate"
VERSION: Final = "0.1.0"
WHOLE_STACK: Final = "whole-stack"
TITLES: Final = {rule.name: rule.title for rule in RULES} | {WHOLE_STACK: "All rules hold over the whole stack."}
"""What each policy of the pack is called, and what it says."""
LARGEST_MESSAGE: Final = 400 * 1024 * 1024
"""Bytes: the engine hands over a whole stack in one message."""
TURNED_OFF: Final = (
    "the policy pack's configuration sets {policies} to another level than mandatory, and no rule can be turned off. "
    "Take that out of the configuration; what a rule must let through is an exception in the access lock, "
    "with a reason and a date (docs/rules)."
)


class PackService(analyzer_pb2_grpc.AnalyzerServicer):
    """Answers the engine. A bug in what judges refuses the resource, or the stack: it never lets it through."""

    def __init__(self, pack: Pack) -> None:
        self._pack = pack

    def GetAnalyzerInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> analyzer_pb2.AnalyzerInfo:
        """Name the policies, all of them mandatory."""
        policies = [
            analyzer_pb2.PolicyInfo(
                name=name,
                description=title,
                enforcementLevel=analyzer_pb2.MANDATORY,
                policy_type=analyzer_pb2.POLICY_TYPE_STACK
                if name == WHOLE_STACK
                else analyzer_pb2.POLICY_TYPE_RESOURCE,
            )
            for name, title in TITLES.items()
        ]
        return analyzer_pb2.AnalyzerInfo(name=NAME, version=VERSION, supportsConfig=True, policies=policies)

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Say which version this is."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def Configure(
        self, request: analyzer_pb2.ConfigureAnalyzerRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        """Refuse the run where the configuration makes a rule anything but mandatory."""
        off = [
            name for name, config in request.policyConfig.items() if config.enforcementLevel != analyzer_pb2.MANDATORY
        ]
        if off:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, TURNED_OFF.format(policies=", ".join(sorted(off))))
        return empty_pb2.Empty()

    def ConfigureStack(
        self, request: analyzer_pb2.AnalyzerStackConfigureRequest, context: grpc.ServicerContext
    ) -> analyzer_pb2.AnalyzerStackConfigureResponse:
        """Take over project, stack and configuration, as a program has them."""
        pulumi.runtime.configure(
            pulumi.runtime.Settings(
                project=request.project,
                stack=request.stack,
                dry_run=request.dry_run,
                organization=request.organization or None,
            )
        )
        pulumi.runtime.set_all_config(dict(request.config), list(request.config_secret_keys))
        return analyzer_pb2.AnalyzerStackConfigureResponse()

    def Remediate(
        self, request: analyzer_pb2.AnalyzeRequest, context: grpc.ServicerContext
    ) -> analyzer_pb2.RemediateResponse:
        """Change nothing: what is wrong is refused, never mended in silence."""
        return analyzer_pb2.RemediateResponse()

    def Analyze(
        self, request: analyzer_pb2.AnalyzeRequest, context: grpc.ServicerContext
    ) -> analyzer_pb2.AnalyzeResponse:
        """Judge one resource before it is made; each violation is its rule's."""
        return _answer(
            lambda: self._pack.hear(_judged(request)), lambda finding: finding.rule, failed=(RULES[0].name, request.urn)
        )

    def AnalyzeStack(
        self, request: analyzer_pb2.AnalyzeStackRequest, context: grpc.ServicerContext
    ) -> analyzer_pb2.AnalyzeResponse:
        """Judge all resources together; the violations name their rule."""
        return _answer(
            lambda: self._pack.hear_stack([_judged(each) for each in request.resources]),
            lambda _: WHOLE_STACK,
            failed=(WHOLE_STACK, ""),
        )


def _judged(resource: analyzer_pb2.AnalyzeRequest | analyzer_pb2.AnalyzerResource) -> Judged:
    """Return what the engine says of one resource; its properties are unpacked when somebody reads them."""
    depends = {}
    if isinstance(resource, analyzer_pb2.AnalyzerResource):
        depends = {name: tuple(found.urns) for name, found in resource.propertyDependencies.items()}
    return Judged(type=resource.type, urn=resource.urn, packed=resource.properties, depends=depends)


def _answer(
    judge: Callable[[], Iterable[Finding]], policy_of: Callable[[Finding], str], *, failed: tuple[str, str]
) -> analyzer_pb2.AnalyzeResponse:
    """Return the violations of what `judge` finds; `failed` says whose violation it is where that crashes."""
    try:
        found = [
            _violation(
                (name := policy_of(finding)), violation_text(finding, name_rule=name == WHOLE_STACK), finding.resource
            )
            for finding in judge()
        ]
    except Exception:  # noqa: BLE001 - a bug here must refuse, never let through
        policy, urn = failed
        refused = urn or "the stack"
        found = [_violation(policy, f"the pack failed and so refuses {refused}:\n{traceback.format_exc()}", urn)]
    return analyzer_pb2.AnalyzeResponse(diagnostics=found)


def _violation(policy: str, text: str, urn: str) -> analyzer_pb2.AnalyzeDiagnostic:
    return analyzer_pb2.AnalyzeDiagnostic(
        policyName=policy,
        policyPackName=NAME,
        policyPackVersion=VERSION,
        description=TITLES[policy],
        message=f"{TITLES[policy]}\n{text}",
        enforcementLevel=analyzer_pb2.MANDATORY,
        urn=urn,
    )


def serve(stacks: Path) -> None:
    """Serve the pack to the engine until it ends; `stacks` is the folder of the environments' access locks."""
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4), options=[("grpc.max_receive_message_length", LARGEST_MESSAGE)]
    )
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(PackService(Pack(stacks)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    threading.Event().wait()
