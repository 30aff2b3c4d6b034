"""The proxy before a policy pack.

A pack's process takes project, stack and configuration from its environment, but the engine tells them only in
ConfigureStack, after the process must be up. So the engine talks to this proxy, which starts the pack when that call
comes and then passes every call on. It must not look into what a pack says.
"""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any, Final

import grpc
from pulumi.runtime.proto import analyzer_pb2

from rehearsal.plugin_process import GRPC_OPTIONS, LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rehearsal.host.children import Children

CALL_SECONDS: Final = 600.0
# An optional call: the engine goes on without. The pack does not exist yet when it comes.
UNIMPLEMENTED: Final = ("/pulumirpc.Analyzer/Handshake",)
CONFIGURE_STACK: Final = "/pulumirpc.Analyzer/ConfigureStack"


class PackProxy(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs, not at run time
    """Passes the engine's calls to the pack that `command` starts in `cwd`; stderr goes to `stderr_fd`."""

    def __init__(
        self, command: Sequence[str], cwd: str, env: Mapping[str, str], stderr_fd: int, children: Children
    ) -> None:
        self._command = command
        self._cwd = cwd
        self._env = env
        self._stderr_fd = stderr_fd
        self._children = children
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: grpc.Channel | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Return the handler of one call, whatever it is: bytes in, bytes out."""
        method = handler_call_details.method
        if method in UNIMPLEMENTED:
            return None

        def call(request: bytes, context: grpc.ServicerContext) -> bytes:
            try:
                channel = self._pack(stack_environment(request) if method == CONFIGURE_STACK else {})
                answer: bytes = channel.unary_unary(method, None, None)(
                    request, wait_for_ready=True, timeout=CALL_SECONDS
                )
            except OSError as error:
                context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
            except grpc.RpcError as error:
                context.abort(error.code(), error.details() or str(error))
            return answer

        return grpc.unary_unary_rpc_method_handler(call)

    def stop(self) -> None:
        """End the pack, if it was started."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._children.stop(self._process)

    def _pack(self, stack: Mapping[str, str]) -> grpc.Channel:
        """Return the channel to the pack, which the first call starts."""
        with self._lock:
            if self._channel is None:
                self._channel = self._start(stack)
            return self._channel

    def _start(self, stack: Mapping[str, str]) -> grpc.Channel:
        process = self._children.start(
            self._command, cwd=self._cwd, env={**self._env, **stack}, stdout=subprocess.PIPE, stderr=self._stderr_fd
        )
        self._process = process
        stdout = process.stdout
        if stdout is None:
            raise ChildProcessError("the policy pack has no standard output")
        port = stdout.readline().decode(errors="replace").strip()
        if not port.isdigit():
            self._children.stop(process)
            raise ChildProcessError(
                f"the policy pack in {self._cwd} did not start (exit status {process.returncode}; it said {port!r})"
            )
        # A pack that prints must not block on a full pipe.
        threading.Thread(target=stdout.read, name="pack-stdout", daemon=True).start()
        return grpc.insecure_channel(f"{LOOPBACK}:{port}", options=GRPC_OPTIONS)


def stack_environment(request: bytes) -> dict[str, str]:
    """Return what the SDK's policy server reads from its environment, from a ConfigureStack request."""
    stack: Any = analyzer_pb2.AnalyzerStackConfigureRequest.FromString(request)
    return {
        "PULUMI_ORGANIZATION": stack.organization,
        "PULUMI_PROJECT": stack.project,
        "PULUMI_STACK": stack.stack,
        "PULUMI_DRY_RUN": "true" if stack.dry_run else "false",
        "PULUMI_CONFIG": json.dumps(dict(stack.config)),
    }
