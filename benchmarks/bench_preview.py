"""How long `pulumi preview` of 300 workflows takes through the components, beside a flat program of the same resources.

Both programs run in the real engine, over providers that accept everything, in turns: what differs is our code alone.
The flat one is what somebody would write without us: one constructor call of the real SDK's classes for each resource,
with its inputs as literals and the same dependencies, without which a deploy would make policies before their roles.
Target: 1.10 times the flat program's processor time. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from bench_compile_plan import write_declarations

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "rules"), str(ROOT / "tests" / "unit")]

from component_mocks import run as run_mocked  # noqa: E402 - of the tests, as the next line
from engine_runs import Bench  # noqa: E402
from narrowgate_policies.properties import snake_case  # noqa: E402

from rehearsal.engine import ensure_engine  # noqa: E402

STACKS: Final = ROOT / "stacks"
TARGET: Final = 1.10
TIMEOUT_SECONDS: Final = 1800.0
COMPONENTS: Final = """\
from pathlib import Path

import pulumi
from narrowgate_pulumi import AgentWorkflow
from narrowgate_pulumi.program import choose_providers

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan

STACKS = Path({stacks!r})
documents = compile_plan(load_plan(STACKS, load_environment(STACKS, "dev")))
opts = pulumi.ResourceOptions(providers=choose_providers(documents.environment))
for workflow in documents.workflows:
    AgentWorkflow(workflow.access.name, {{"documents": workflow}}, opts=opts)
"""
FLAT_HEAD: Final = """\
import pulumi
import pulumi_aws
import pulumi_vault
from narrowgate_pulumi.postgres import PostgresAccess

aws = pulumi_aws.Provider("aws", region="eu-central-1")
vault = pulumi_vault.Provider("vault", address="https://vault.dev.example.com:8200")
"""
POSTGRES: Final = "pulumi-python:dynamic/narrowgate:PostgresAccess"


class Registered(NamedTuple):
    """A resource as it was registered: `after` names those that it depends on, by property or by option."""

    kind: str
    name: str
    inputs: dict[str, object]
    after: tuple[str, ...]


def list_resources(program: str) -> list[Registered]:
    """Return what `program` registers, dependencies first: components themselves left out."""
    recorder, monitor = run_mocked(lambda: exec(compile(program, "components", "exec"), {}))  # noqa: S102 - ours
    own = ("narrowgate:", "pulumi:")
    found = []
    for (kind, name), inputs in recorder.made.items():
        if not kind.startswith(own):
            urns = monitor.requests[name].dependencies
            found.append(Registered(kind, name, inputs, tuple(sorted(urn.rsplit("::", 1)[1] for urn in urns))))
    return found


def write_flat(resources: list[Registered]) -> str:
    """Return the flat program: a constructor call for each resource."""
    variables = {each.name: f"r{number}" for number, each in enumerate(resources)}
    lines = [FLAT_HEAD]
    for kind, name, inputs, after in resources:
        provider = kind.split(":")[0]
        known = [f"depends_on=[{', '.join(variables[other] for other in after)}]"] if after else []
        if kind == POSTGRES:
            given = repr({key: value for key, value in inputs.items() if not key.startswith("__")})
            path = "PostgresAccess"
        else:
            package, module, made = kind.split(":")
            folder = module.split("/")[0].lower()
            path = f"pulumi_{package}.{made}" if folder == "index" else f"pulumi_{package}.{folder}.{made}"
            given = ", ".join(f"{snake_case(key)}={value!r}" for key, value in inputs.items())
            known.insert(0, f"provider={provider}")
        options = f"pulumi.ResourceOptions({', '.join(known)})"
        lines.append(f"{variables[name]} = {path}({name!r}, {given}, opts={options})")
    return "\n".join(lines) + "\n"


def measure(bench: Bench, program: Path, stack: str) -> tuple[float, float, int]:
    """Return a preview's processor seconds (the engine's, the program's and the plugins'), clock seconds, resources."""
    before, start = _used(), time.perf_counter()
    files = {f"Pulumi.{stack}.yaml": (STACKS / "Pulumi.dev.yaml").read_text()}
    done = bench.run_program(program, stack, files, "preview", pack=False)
    clock = time.perf_counter() - start
    found = re.search(r"\+ (\d+) to create", done.output)
    if done.status or found is None:
        raise SystemExit(f"the preview of {stack} failed:\n{done.output[-3000:]}")
    return _used() - before, clock, int(found[1])


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure, print, and fail where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workflows", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_declarations(folder / "stacks", options.workflows)
        components = COMPONENTS.format(stacks=str(folder / "stacks"))
        resources = list_resources(components)
        programs = {"components": components, "flat": write_flat(resources)}
        for name, text in programs.items():
            (folder / name).mkdir()
            (folder / name / "__main__.py").write_text(text)
        engine = ensure_engine(print)
        (folder / "bench").mkdir()
        bench = Bench(folder / "bench", engine.path, engine.version, seconds=TIMEOUT_SECONDS)
        seconds: dict[str, list[float]] = {name: [] for name in programs}
        counts: dict[str, int] = {}
        for run in range(options.runs):
            for name in programs:
                processor, clock, counts[name] = measure(bench, folder / name, f"{name}-{run}")
                seconds[name].append(processor)
                print(f"{name:<11} {processor:6.2f} s of processor, {clock:6.2f} s on the clock", flush=True)
    ratio = statistics.median(seconds["components"]) / statistics.median(seconds["flat"])
    verdict = "met" if ratio <= TARGET else "MISSED"
    print(
        f"{len(resources)} resources; the engine registers {counts['components']} and {counts['flat']} with components"
    )
    print(f"preview of {options.workflows} workflows: {ratio:.3f} times the flat program (target {TARGET}: {verdict})")
    figures = {name: [round(each, 2) for each in found] for name, found in seconds.items()}
    print(json.dumps({"benchmark": "preview", "workflows": options.workflows, "ratio": round(ratio, 3), **figures}))
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
