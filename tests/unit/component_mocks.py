"""Pulumi's mocks for the tests of components: not a test module, but what several of them share."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import mocks

if TYPE_CHECKING:
    from collections.abc import Callable


class Recorder(mocks.Mocks):
    """Answers every registration and keeps what was sent, with the dependencies that the engine would see."""

    def __init__(self) -> None:
        self.made: dict[tuple[str, str], dict[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.made[args.typ, args.name] = args.inputs
        return f"{args.name}-id", {**args.inputs, "arn": f"arn:{args.name}", "accessor": "ACCESSOR"}

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"a component called {args.token}")


class Monitor(mocks.MockMonitor):
    """A mock monitor that also keeps each registration's request."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self.requests: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802, ANN401 - the protocol's names and types
        self.requests[request.name] = request
        return super().RegisterResource(request)

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802, ANN401 - as above
        self.outputs[request.urn.rsplit("::", 1)[-1]] = request
        return super().RegisterResourceOutputs(request)


def run(program: Callable[[], None]) -> tuple[Recorder, Monitor]:
    """Run `program` against the mocks, which no other test sees: the SDK keeps its settings in context variables."""
    return contextvars.copy_context().run(_run, program)


def _run(program: Callable[[], None]) -> tuple[Recorder, Monitor]:
    recorder = Recorder()
    monitor = Monitor(recorder)
    mocks.set_mocks(recorder, project="narrowgate", stack="dev", monitor=monitor)

    @pulumi.runtime.test
    def body() -> None:
        program()

    body()
    return recorder, monitor


def list_earlier(monitor: Monitor) -> dict[str, set[str]]:
    """Return, by name, all that the engine makes before a resource and deletes after it, however far."""
    direct = {name: {d.rsplit("::", 1)[-1] for d in r.dependencies} for name, r in monitor.requests.items()}
    earlier: dict[str, set[str]] = {}

    def find(name: str) -> set[str]:
        if name not in earlier:
            found = direct[name]
            earlier[name] = found.union(*(find(other) for other in found))
        return earlier[name]

    return {name: find(name) for name in direct}
