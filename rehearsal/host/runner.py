"""Run one Pulumi program.

What the engine's Run said comes as JSON on stdin, so that no secret is in argv or environment. This file runs
by its path in the program's own environment, where `rehearsal` may not be installed, so it imports nothing of the
project but its neighbour `guard`. Exit status 0: done; 32: the engine was told what went wrong; else: a crash.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pulumi.runtime
from guard import end_with_parent  # type: ignore[import-not-found]  # this file's folder is sys.path[0]

BAIL = 32
# The frames between Python's start and the program's first line: they tell its author nothing.
SCAFFOLD = frozenset(
    {__file__, "<frozen runpy>", asyncio.base_events.__file__, pulumi.runtime.stack.__file__, pulumi.output.__file__}
)


def configure(run: dict[str, Any]) -> None:
    """Tell the Pulumi SDK which engine, stack and configuration this run has."""
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=run["project"],
            stack=run["stack"],
            monitor=run["monitor"],
            engine=run["engine"],
            parallel=run["parallel"],
            dry_run=run["dry_run"],
            organization=run["organization"],
            root_directory=run["root_directory"],
        )
    )
    pulumi.runtime.set_all_config(run["config"], run["secret_keys"])


def find_program(entry_point: str) -> str:
    """Return the folder or file to run: `entry_point` is relative to the program's folder, which is the cwd."""
    return str(Path.cwd() / entry_point)


def program_frames(error: BaseException) -> str:
    """Return the traceback of `error` without the frames of this runner and of the SDK's entry."""
    report = traceback.TracebackException.from_exception(error)
    _strip(report, set())
    return "".join(report.format()).rstrip()


def _strip(report: traceback.TracebackException | None, seen: set[int]) -> None:
    if report is None or id(report) in seen:
        return
    seen.add(id(report))
    report.stack = traceback.StackSummary.from_list([f for f in report.stack if f.filename not in SCAFFOLD])
    for other in (report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ())):
        _strip(other, seen)


def say_failure(message: str) -> None:
    """Tell the engine what went wrong, at once: this process ends next."""
    pulumi.log.error(message)


async def run_program(program: str) -> None:
    """Run the program's code inside a stack resource."""

    async def body() -> None:
        runpy.run_path(program, run_name="__main__")

    await pulumi.runtime.run_in_stack(body)


def main() -> int:
    """Run what stdin says and return the exit status."""
    run = json.load(sys.stdin)
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 -- stdin for as long as the process lives
    configure(run)
    program = find_program(run["program"])
    sys.argv = [program, *run["args"]]
    sys.path[0] = str(Path.cwd())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(run_program(program))
    except pulumi.RunError as error:
        say_failure(str(error))
        return BAIL
    except grpc.RpcError as error:
        # The engine has ended this run (a resource failed, a policy denied, the user cancelled) and has said why.
        if error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            return BAIL
        say_failure(f"Program failed:\n{program_frames(error)}")
        return BAIL
    except Exception as error:  # noqa: BLE001 -- whatever the program raised is the program's failure
        say_failure(f"Program failed with an unhandled exception:\n{program_frames(error)}")
        return BAIL
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    end_with_parent()
    status = main()
    # Threads of the SDK (gRPC, callbacks) must not hold the process back once the program is done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
