"""How programs and packs run: previews, failures, secrets, processes. No server is needed but where one is started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from engine_bench import VENV, EngineBench

from rehearsal.pulumi_home import list_project_plugins

pytestmark = pytest.mark.rehearsal

GONE_SECONDS = 15.0
# Longer than the engine takes to end and its plugins to follow; it may wait for a resource when it is asked to end.
BUSY_SECONDS = 60
PACK = """
import sys
import pulumi
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def judge(args, report):
    print("pack sees", pulumi.get_project(), pulumi.get_stack(), pulumi.Config("p").get("word"), file=sys.stderr)
    if args.resource_type == "aws:iam/role:Role" and "bad" in args.props["name"]:
        report(f"role {args.props['name']} is a bad example")

rule = ResourceValidationPolicy("no-bad-role", "No bad role.", judge, EnforcementLevel.MANDATORY)
PolicyPack("tests", policies=[rule])
"""
ROLE = """
    import pulumi_aws as aws
    aws.iam.Role("role", name={name!r}, assume_role_policy=trust)
"""
DYNAMIC = """
    import pulumi.dynamic
    import time

    class Slow(pulumi.dynamic.ResourceProvider):
        def create(self, inputs):
            time.sleep(inputs["seconds"])
            return pulumi.dynamic.CreateResult("made", inputs)

    class SlowResource(pulumi.dynamic.Resource):
        def __init__(self, name, inputs):
            super().__init__(Slow(), name, inputs)

    SlowResource("slow", {{"seconds": {seconds}}})
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> EngineBench:
    return EngineBench(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pack")
    (folder / "PulumiPolicy.yaml").write_text(f"runtime:\n  name: python\n  options:\n    virtualenv: {VENV}\n")
    (folder / "__main__.py").write_text(PACK)
    return folder


def test_pack_denies_in_a_plain_preview(bench: EngineBench, pack: Path) -> None:
    project = bench.project("p-denied", ROLE.format(name="bad-role"))
    said = project.pulumi("preview", "--color=never", fails=True, PULUMI_OPTION_POLICY_PACK=str(pack))
    assert "no-bad-role" in said
    assert "role bad-role is a bad example" in said


def test_pack_lets_a_good_program_pass_and_knows_the_stack(bench: EngineBench, pack: Path) -> None:
    project = bench.project("p-passed", ROLE.format(name="good-role"))
    project.pulumi("config", "set", "p:word", "horse")
    said = project.pulumi("preview", "--color=never", PULUMI_OPTION_POLICY_PACK=str(pack))
    assert "pack sees p-passed dev horse" in said
    assert "1 to create" in said or "2 to create" in said


def test_pack_that_does_not_start_stops_the_preview(bench: EngineBench, tmp_path: Path) -> None:
    (tmp_path / "PulumiPolicy.yaml").write_text(f"runtime:\n  name: python\n  options:\n    virtualenv: {VENV}\n")
    (tmp_path / "__main__.py").write_text("raise LookupError('the pack is broken')\n")
    project = bench.project("p-broken-pack", ROLE.format(name="good-role"))
    said = project.pulumi("preview", "--color=never", fails=True, PULUMI_OPTION_POLICY_PACK=str(tmp_path))
    assert "did not start" in said
    assert "the pack is broken" in said


def test_outputs_of_what_is_not_created_are_unknown_at_preview(bench: EngineBench) -> None:
    project = bench.project(
        "p-unknown",
        """
        import pulumi_aws as aws
        role = aws.iam.Role("role", name="unknown", assume_role_policy=trust)
        role.arn.apply(lambda arn: print("arn is", arn))
        role.name.apply(lambda name: print("name is", name))
        aws.iam.RolePolicy("inline", role=role.id, policy=role.arn.apply(lambda arn: json.dumps({"Resource": arn})))
        """,
    )
    said = project.pulumi("preview", "--color=never")
    assert "name is unknown" in said
    assert "arn is" not in said
    assert "3 to create" in said


def test_program_failure_shows_the_programs_own_frames(bench: EngineBench) -> None:
    project = bench.project(
        "p-fails",
        """
        def look_up(name):
            raise LookupError(f"no {name} here")
        pulumi.Output.from_input("tool").apply(look_up)
        """,
    )
    said = project.pulumi("preview", "--color=never", fails=True)
    assert "LookupError: no tool here" in said
    assert f'File "{project.program / "__main__.py"}"' in said
    assert "runner.py" not in said
    assert "runpy" not in said


def test_users_mistake_shows_no_traceback(bench: EngineBench) -> None:
    project = bench.project("p-mistake", 'raise pulumi.RunError("workflows/a.yaml:3:1: unknown key")')
    said = project.pulumi("preview", "--color=never", fails=True)
    assert "error: workflows/a.yaml:3:1: unknown key" in said
    assert "Traceback" not in said


def test_exit_status_of_a_program_is_a_failure(bench: EngineBench) -> None:
    said = bench.project("p-exit", "import os; os._exit(7)").pulumi("preview", "--color=never", fails=True)
    assert "exit status 7" in said


def test_type_that_the_double_does_not_know_is_named(bench: EngineBench) -> None:
    project = bench.project("p-type", 'import pulumi_aws as aws\naws.sqs.Queue("queue")\n')
    said = project.pulumi("preview", "--color=never", fails=True)
    assert "the rehearsal's double of aws has no resource type aws:sqs/queue:Queue" in said


def test_setting_that_the_double_would_ignore_is_refused(bench: EngineBench) -> None:
    project = bench.project("p-setting", ROLE.format(name="r"))
    project.pulumi("config", "set", "aws:useFipsEndpoint", "true")
    assert "has no setting useFipsEndpoint" in project.pulumi("preview", "--color=never", fails=True)


def test_secret_configuration_is_neither_in_arguments_nor_in_the_environment(bench: EngineBench) -> None:
    project = bench.project(
        "p-config",
        """
        from pathlib import Path
        process = Path("/proc/self")
        word = pulumi.Config("p").require_secret("word")
        assert pulumi.runtime.is_config_secret("p:word")
        for name in ("cmdline", "environ"):
            assert b"correct-horse" not in (process / name).read_bytes(), name
        word.apply(lambda text: print("length", len(text)))
        """,
    )
    project.pulumi("config", "set", "--secret", "p:word", "correct-horse")
    assert "length 13" in project.pulumi("preview", "--color=never")
    assert "correct-horse" not in (project.folder / "Pulumi.dev.yaml").read_text()


def test_dynamic_resource_runs(bench: EngineBench) -> None:
    project = bench.project("p-dynamic", DYNAMIC.format(seconds=0))
    project.up()
    project.up("--expect-no-changes")
    assert project.resource("slow")["id"] == "made"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_engine_leaves_no_process(bench: EngineBench, pack: Path, number: signal.Signals) -> None:
    project = bench.project(f"p-killed-{number.name.lower()}", DYNAMIC.format(seconds=BUSY_SECONDS))
    command, environment = project.command("up", "--yes", "--skip-preview", "--policy-pack", str(pack))
    with subprocess.Popen(
        command, env=environment, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as engine:
        until = time.monotonic() + 60
        while not _dynamic_provider_is_busy(engine.pid) and time.monotonic() < until:
            time.sleep(0.2)
        children = psutil.Process(engine.pid).children(recursive=True)
        names = " ".join(map(_read_command, children))
        os.kill(engine.pid, number)
    for part in ("rehearsal.host", "runner.py", "pulumi.policy", "pulumi.dynamic"):
        assert part in names, "the test must see what it says is gone"
    _gone, alive = psutil.wait_procs(children, timeout=GONE_SECONDS)
    assert alive == []


def _dynamic_provider_is_busy(pid: int) -> bool:
    children = psutil.Process(pid).children(recursive=True)
    return any("pulumi.dynamic" in _read_command(child) and child.num_threads() > 1 for child in children)


def _read_command(process: psutil.Process) -> str:
    """Return a process's command line; short ones may end between being listed and being read."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie too
        return ""


def test_nothing_lies_in_the_users_home(bench: EngineBench) -> None:
    project = bench.project("p-home", ROLE.format(name="home"))
    project.pulumi("preview")
    assert list((bench.folder / "home").iterdir()) == []


def test_host_that_comes_with_an_engine_is_not_used(bench: EngineBench, tmp_path: Path) -> None:
    # As in a user's own installation of Pulumi: a host lies beside the engine, which prefers it to PULUMI_HOME.
    engine = Path(shutil.copy(bench.engine, tmp_path / "pulumi"))
    for name in ("pulumi-language-python", "pulumi-resource-pulumi-python"):
        (tmp_path / name).write_text("#!/bin/sh\necho the host beside the engine >&2\nexit 9\n")
        (tmp_path / name).chmod(0o755)
    plugins = {"plugins": list_project_plugins(bench.folder / "pulumi", bench.engine_version)}
    for name, settings, fails in (("p-theirs", "", True), ("p-ours", json.dumps(plugins)[1:-1] + "\n", False)):
        project = bench.project(name, DYNAMIC.format(seconds=0), settings=settings)
        command, environment = project.command("up", "--yes", "--skip-preview")
        done = subprocess.run(
            [str(engine), *command[1:]], env=environment, cwd="/", capture_output=True, text=True, check=False
        )
        assert (done.returncode != 0, "the host beside" in done.stdout + done.stderr) == (fails, fails), done.stdout


def test_about_names_the_projects_python_and_packages(bench: EngineBench) -> None:
    said = json.loads(bench.project("p-about", "").pulumi("about", "--json"))
    assert said["runtime"]["executable"] == str(VENV / "bin" / "python")
    assert {"pulumi-aws", "pulumi-vault"} <= {entry["name"].replace("_", "-") for entry in said["dependencies"]}
