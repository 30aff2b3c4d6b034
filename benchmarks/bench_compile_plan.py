"""How the way from declarations to documents grows: 1,000 and 10,000 workflows with three tools each, in one process.

Targets: ten times the workflows take at most 11 times the time; peak memory at most 1 GiB. Judged by processor time
(one thread, no waiting). The last line is JSON, for whoever keeps the figures.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, read_declarations

STACKS: Final = Path(__file__).resolve().parents[1] / "stacks"
WORKFLOW: Final = "incident-summarization"
SIZES: Final = (1_000, 10_000)
TARGET_RATIO: Final = 11.0
TARGET_MEBIBYTES: Final = 1024


def write_declarations(folder: Path, count: int) -> None:
    """Write the committed tools and environment, and `count` copies of one workflow with three tools."""
    shutil.copytree(STACKS, folder, ignore=shutil.ignore_patterns("__pycache__", "workflows", "locks"))
    text = (STACKS / "workflows" / f"{WORKFLOW}.yaml").read_text(encoding="utf-8")
    (folder / "workflows").mkdir()
    for number in range(count):
        name = f"workflow-{number}"
        (folder / "workflows" / f"{name}.yaml").write_text(text.replace(WORKFLOW, name), encoding="utf-8")


def measure(folder: Path) -> dict[str, float]:
    """Return the seconds that each step takes."""
    environment = load_environment(folder, "dev")
    marks = [time.process_time()]
    declarations = read_declarations(folder)
    marks.append(time.process_time())
    plan = declarations.plan(environment)
    marks.append(time.process_time())
    compile_plan(plan)
    marks.append(time.process_time())
    steps = ("read", "plan", "compile")
    return {step: end - start for step, start, end in zip(steps, marks, marks[1:], strict=False)}


def main() -> int:
    """Measure, print, and fail where a target is missed."""
    totals = {}
    for count in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            write_declarations(Path(folder) / "stacks", count)
            steps = measure(Path(folder) / "stacks")
        totals[count] = sum(steps.values())
        each = ", ".join(f"{step} {seconds / count * 1e6:.0f} us" for step, seconds in steps.items())
        print(f"{count:6} workflows: {totals[count]:6.2f} s; for each workflow: {each}")
    ratio = totals[SIZES[1]] / totals[SIZES[0]]
    mebibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"ratio {ratio:.1f} (target {TARGET_RATIO}), peak memory {mebibytes:.0f} MiB (target {TARGET_MEBIBYTES})")
    print(json.dumps({"benchmark": "compile_plan", "ratio": round(ratio, 2), "mebibytes": round(mebibytes)}))
    return 0 if ratio <= TARGET_RATIO and mebibytes <= TARGET_MEBIBYTES else 1


if __name__ == "__main__":
    raise SystemExit(main())
