from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rehearsal import state
from rehearsal.errors import RehearsalError
from rehearsal.layout import CHECKOUT, EnvironmentLayout, Layout, find_cache, find_layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(root=tmp_path / "state", cache=tmp_path / "cache")


def test_layout_is_inside_the_checkout_unless_named() -> None:
    assert find_layout({"HOME": "/home/x"}).root == CHECKOUT / ".rehearsal"
    assert find_layout({"HOME": "/home/x", "NARROWGATE_REHEARSAL_DIR": "/srv/r"}).root == Path("/srv/r")


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"NARROWGATE_CACHE": "/c", "XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/c"),
        ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/narrowgate"),
        ({"HOME": "/h"}, "/h/.cache/narrowgate"),
    ],
)
def test_cache_is_outside_the_checkout(environ: dict[str, str], cache: str) -> None:
    assert find_cache(environ) == Path(cache)


def test_every_path_but_cache_and_checkout_is_under_the_root(layout: Layout) -> None:
    outside = {name for name, path in paths_of(Layout, layout).items() if not path.is_relative_to(layout.root)}
    assert outside == {"policy_pack", "venv"}


def paths_of(kind: type[Layout], layout: Layout) -> dict[str, Path]:
    found = {name: getattr(layout, name) for name, value in vars(kind).items() if isinstance(value, property)}
    return {name: path for name, path in found.items() if isinstance(path, Path)}


def test_environments_share_no_path_of_their_own(layout: Layout) -> None:
    dev, prod = (paths_of(EnvironmentLayout, layout.of(name)) for name in ("dev", "prod"))
    assert {"bao", "postgres", "idp", "pki", "pulumi_state", "pulumi_passphrase", "broker_credentials"} <= dev.keys()
    for name, path in dev.items():
        assert path.is_relative_to(layout.root / "dev"), name
        assert prod[name].is_relative_to(layout.root / "prod"), name


def test_state_survives_and_is_private(layout: Layout) -> None:
    remembered = state.State(ports={"a": 1}, processes={"a": state.ProcessRecord(pid=7, created=1.5)})
    state.write_state(layout, remembered)
    assert state.read_state(layout) == remembered
    assert layout.state_file.stat().st_mode & 0o777 == 0o600
    assert layout.root.stat().st_mode & 0o777 == 0o700


def test_no_state_is_an_empty_state(layout: Layout) -> None:
    assert state.read_state(layout) == state.State()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2}',
        '{"version": 3, "ports": {}, "processes": {}}',
        '{"version": 1, "ports": {}, "processes": {}}',
        '{"version": 2, "ports": {}, "processes": {"a": {}}}',
    ],
)
def test_damaged_or_newer_state_is_told_with_a_way_out(layout: Layout, text: str) -> None:
    layout.root.mkdir()
    layout.state_file.write_text(text)
    with pytest.raises(RehearsalError) as caught:
        state.read_state(layout)
    assert caught.value.hint is not None
    assert "reset" in caught.value.hint


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "f"
    state.write_private(file, "old")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        state.write_private(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_secret_is_made_once_and_is_long(tmp_path: Path) -> None:
    secret = state.read_secret(tmp_path / "s")
    assert len(secret) >= 43
    assert state.read_secret(tmp_path / "s") == secret
    assert state.read_secret(tmp_path / "other") != secret


def test_port_is_remembered_and_given_up_when_taken(layout: Layout) -> None:
    port = state.choose_port(layout, "a")
    assert state.choose_port(layout, "a") == port
    assert state.choose_port(layout, "b") != port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        moved = state.choose_port(layout, "a")
    assert moved != port
    assert json.loads(layout.state_file.read_text())["ports"]["a"] == moved


def test_port_of_an_unknown_part_is_a_clear_error(layout: Layout) -> None:
    with pytest.raises(RehearsalError, match="no bao yet"):
        state.get_port(layout, "bao")


def test_second_command_waits_for_the_first(layout: Layout) -> None:
    waited, entered = threading.Event(), threading.Event()

    def work() -> None:
        with state.hold_lock(layout, waited.set):
            entered.set()

    with state.hold_lock(layout, lambda: pytest.fail("nobody else holds it")):
        other = threading.Thread(target=work)
        other.start()
        assert waited.wait(10)
        assert not entered.is_set()
    other.join(10)
    assert entered.is_set()


def test_lock_ends_with_a_killed_process(layout: Layout) -> None:
    layout.root.mkdir()
    hold = "import fcntl,sys,time; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print('held',flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(layout.lock_file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait(10)
    with state.hold_lock(layout, lambda: pytest.fail("the dead process holds nothing")):
        pass
