"""How long `narrowgate access diff` takes for 1,000 workflows of which one in twenty has changed.

Target: 5 s for the whole command, in a process of its own, from reading 1,000 files to the last line. The command is
one thread that waits for nothing, so its processor time is what it takes on a machine with nothing else to do: that is
judged, and the time on the clock is printed beside it. The last line is JSON, for whoever keeps the figures.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from narrowgate.access.diff import compare_plans
from narrowgate.access.enforcement import load_lock
from narrowgate.access.lock import lock_file, write_lock
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable

STACKS: Final = Path(__file__).resolve().parents[1] / "stacks"
WORKFLOWS: Final = 1000
CHANGED: Final = 50
RUNS: Final = 2
TARGET_SECONDS: Final = 5.0
SCOPES: Final = {"emea": "apac", "runbooks": "postmortems", "vendors": "contracts"}


def write_stacks(folder: Path) -> None:
    """Write a stacks folder of `WORKFLOWS` workflows, made of the committed ones under other names."""
    shutil.copytree(STACKS, folder, ignore=shutil.ignore_patterns("__pycache__", "workflows"))
    (folder / "workflows").mkdir()
    originals = sorted((STACKS / "workflows").glob("*.yaml"))
    for number in range(WORKFLOWS):
        original = originals[number % len(originals)]
        name = f"{original.stem[:20].strip('-')}-{number}"
        text = re.sub(r"^workflow: .*$", f"workflow: {name}", original.read_text(), flags=re.MULTILINE)
        (folder / "workflows" / f"{name}.yaml").write_text(text)


def change_some(folder: Path) -> None:
    """Change the scope of `CHANGED` workflows, spread over all of them."""
    for path in sorted((folder / "workflows").iterdir())[:: WORKFLOWS // CHANGED]:
        text = path.read_text()
        for old, new in SCOPES.items():
            text = text.replace(f": {old}}}", f": {new}}}")
        path.write_text(text)


def measure(work: Callable[[], object]) -> float:
    """Return the seconds of processor time that `work` takes in this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> int:
    """Measure, print, and fail where the target is missed."""
    with tempfile.TemporaryDirectory() as temporary:
        stacks = Path(temporary) / "stacks"
        write_stacks(stacks)
        environment = load_environment(stacks, "dev")
        path = lock_file(stacks, "dev")
        path.write_text(write_lock(load_plan(stacks, environment)))
        change_some(stacks)
        command = [
            str(Path(sys.executable).with_name("narrowgate")),
            "access",
            "diff",
            "--env",
            "dev",
            "--stacks",
            str(stacks),
        ]
        codes: list[int] = []

        def run() -> None:
            codes.append(subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode)  # noqa: S603 ours

        start = time.perf_counter()
        for _ in range(RUNS):
            run()
        clock = (time.perf_counter() - start) / RUNS
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = (used.ru_utime + used.ru_stime) / RUNS
        if set(codes) != {1}:
            print(f"the command ended with {codes}: it should have found new access")
            return 1
        plan = load_plan(stacks, environment)
        lock = load_lock(path, plan)
        shares = {
            "read declarations": measure(lambda: load_plan(stacks, environment)),
            "read lock": measure(lambda: load_lock(path, plan)),
            "compare": measure(lambda: compare_plans(lock, plan)),
        }
    for name, seconds in shares.items():
        print(f"{name:<18} {seconds:6.2f} s")
    verdict = "met" if whole <= TARGET_SECONDS else "MISSED"
    print(f"{'on the clock':<18} {clock:6.2f} s")
    print(
        f"access diff, {WORKFLOWS} workflows, {CHANGED} changed: {whole:.2f} s (target {TARGET_SECONDS} s: {verdict})"
    )
    figures = {"workflows": WORKFLOWS, "seconds": round(whole, 3), "clock_seconds": round(clock, 3)}
    print(json.dumps({"benchmark": "access-diff", **figures}))
    return 0 if whole <= TARGET_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
