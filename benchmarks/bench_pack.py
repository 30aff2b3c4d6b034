"""What the policy pack costs: `pulumi preview` of 300 workflows with it, and with a pack of one empty rule, in turn.

The real engine, program and components; a provider that accepts everything, so that nothing else takes its time.
Targets: 1.15 times the empty pack's processor time (the engine's, the program's and the plugins'), and 1 ms of it a
resource. The median of each pack's runs counts. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench_compile_plan import write_declarations

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests" / "rules")]

from engine_runs import Bench, write_pack  # noqa: E402 - what runs the engine stands with the tests
from vault_without_records import bind_own_stacks  # noqa: E402

from narrowgate.access.lock import lock_file, write_lock  # noqa: E402
from narrowgate.declarations import load_environment, load_plan  # noqa: E402
from rehearsal.engine import ensure_engine  # noqa: E402

TARGET_RATIO: Final = 1.15
TARGET_MILLISECONDS: Final = 1.0
EMPTY: Final = """\
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

nothing = ResourceValidationPolicy("nothing", "Nothing.", lambda args, report: None, EnforcementLevel.MANDATORY)
PolicyPack("empty", [nothing])
"""


def measure(bench: Bench, stacks: Path, files: dict[str, str]) -> tuple[float, float, int]:
    """Return one preview's processor seconds and clock seconds, and the number of resources that it would make."""
    before, start = _used(), time.perf_counter()
    run = bench.run_program(stacks, "dev", files, "preview")
    processor, clock = _used() - before, time.perf_counter() - start
    made = re.search(r"\+ (\d+) to create", run.output)
    if run.status or made is None:
        raise SystemExit(run.output[-3000:])
    return processor, clock, int(made[1])


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure, print, and fail where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflows", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    os.environ["VAULT_TOKEN"] = "nobody's"  # noqa: S105 - it opens nothing
    engine = ensure_engine(print)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stacks = folder / "stacks"
        write_declarations(stacks, options.workflows)
        plan = load_plan(stacks, load_environment(stacks, "dev"))
        lock_file(stacks, "dev").parent.mkdir(exist_ok=True)
        seconds: dict[str, list[float]] = {"empty": [], "ours": []}
        resources = 0
        with bind_own_stacks(stacks, folder) as files:
            lock_file(stacks, "dev").write_text(write_lock(plan), encoding="utf-8")
            for turn in range(options.runs):
                for kind, measured in seconds.items():
                    place = folder / f"{kind}-{turn}"
                    place.mkdir()
                    pack = write_pack(place / "policies", stacks)
                    if kind == "empty":
                        (pack / "__main__.py").write_text(EMPTY, encoding="utf-8")
                    bench = Bench(place, engine.path, engine.version, pack=pack, stacks=stacks, seconds=1800)
                    processor, clock, resources = measure(bench, stacks, files)
                    measured.append(processor)
                    print(f"{kind:5} {processor:6.1f} s of processor, {clock:6.1f} s on the clock", flush=True)
    ours, empty = (statistics.median(seconds[kind]) for kind in ("ours", "empty"))
    ratio, each = ours / empty, (ours - empty) / resources * 1000
    print(f"{options.workflows} workflows, {resources} resources")
    print(f"ratio {ratio:.2f} (target {TARGET_RATIO}), {each:.2f} ms a resource (target {TARGET_MILLISECONDS})")
    print(json.dumps({"benchmark": "pack", "ratio": round(ratio, 3), "milliseconds_a_resource": round(each, 3)}))
    return 0 if ratio <= TARGET_RATIO and each <= TARGET_MILLISECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
