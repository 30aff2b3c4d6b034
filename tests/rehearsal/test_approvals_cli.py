"""The approver's commands in a shell of their own, against the real servers."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
from typing import TYPE_CHECKING

from gate_cli import COMMAND, SECONDS, environment, run

from narrowgate.approvals import State, VaultRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench


def digest_of(bench: GateBench, request: str) -> str:
    with bench.approver("carl") as approver:
        return approver.read_case(request).digest


def test_a_case_is_listed_shown_and_approved_by_its_digest(bench: GateBench, tmp_path: Path) -> None:
    request = bench.draft("Basalt Oy")
    executor = bench.executor()
    executor.work()
    env = environment(bench, tmp_path, "ann")
    assert f"{request}  waiting  vendors.create for vera" in run(env, "approvals", "list").stdout
    shown = run(env, "approvals", "show", request)
    digest = shown.stdout.strip().rsplit(" ", 1)[1]
    assert digest == digest_of(bench, request)
    assert "    then     active" in shown.stdout
    assert "  bank_account = FI00 1234" in shown.stdout
    refused = run(env, "approvals", "approve", request, "--reason", "ok")
    assert (refused.returncode, digest in refused.stderr.replace("\n", "")) == (2, True)
    wrong = run(env, "approvals", "approve", request, "--reason", "ok", "--digest", "sha256:0")
    assert (wrong.returncode, "case-not-shown" in wrong.stderr) == (1, True)
    assert executor.work() == 0
    done = run(env, "approvals", "approve", request, "--reason", "Papers checked.", "--digest", digest)
    assert done.returncode == 0, done.stderr
    assert "approved, waits for the executor" in done.stdout
    executor.work()
    assert bench.vendors("Basalt Oy") == [("FI", "active")]
    after = json.loads(run(env, "approvals", "show", request, "--format", "json").stdout)
    assert (after["state"], after["outcome"]["approvers"][0]["reason"]) == ("executed", "Papers checked.")
    again = run(env, "approvals", "approve", request, "--reason", "again", "--digest", digest)
    assert (again.returncode, "case-decided" in again.stderr) == (1, True)


def test_in_a_terminal_the_case_is_shown_and_its_digest_typed(bench: GateBench, tmp_path: Path) -> None:
    request = bench.draft("Cobalt Oy")
    bench.executor().work()
    env = environment(bench, tmp_path, "ann")
    short = digest_of(bench, request).partition(":")[2][:8]
    words = (*COMMAND, "approvals", "approve", request, "--reason", "Checked.")
    code, seen = talk(words, env, answer="00000000" if short != "00000000" else "11111111")
    assert (code, "nothing was decided" in seen) == (1, True)
    code, seen = talk(words, env, answer=short)
    assert code == 0, seen
    assert seen.index("rationale, in the agent's words") < seen.index("type the first 8 characters")
    with bench.approver("carl") as approver:
        assert approver.read_case(request).state is State.APPROVED


def talk(words: tuple[str, ...], env: dict[str, str], *, answer: str) -> tuple[int, str]:
    """Run a command in a terminal of its own, answer its one question, and return its code and all it printed."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(words[0], words, env)  # noqa: S606 - it is our own command
    seen = b""
    answered = False
    while True:
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # the terminal's end
            break
        if not part:
            break
        seen += part
        if b"after `sha256:`:" in seen and not answered:
            os.write(terminal, answer.encode() + b"\n")
            answered = True
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), seen.decode()


def test_a_denial_is_final(bench: GateBench, tmp_path: Path) -> None:
    request = bench.draft("Dubious Ltd")
    executor = bench.executor()
    executor.work()
    env = environment(bench, tmp_path, "ann")
    assert run(env, "approvals", "deny", request, "--reason", "Unknown company.").returncode == 0
    executor.work()
    shown = run(env, "approvals", "show", request).stdout
    assert "state        denied" in shown
    assert "ann denied it: Unknown company." in shown
    assert not bench.vendors("Dubious Ltd")
    other = environment(bench, tmp_path, "bob")
    late = run(other, "approvals", "approve", request, "--reason", "ok", "--digest", digest_of(bench, request))
    assert (late.returncode, "case-decided" in late.stderr) == (1, True)


def test_who_may_not_decide_is_told_why(bench: GateBench, tmp_path: Path) -> None:
    request = bench.draft("Ember Oy")
    bench.executor().work()
    digest = digest_of(bench, request)
    for user, words in (("vera", "on whose behalf it was drafted"), ("carl", "none of the groups")):
        env = environment(bench, tmp_path, user)
        assert words in run(env, "approvals", "show", request).stdout
        refused = run(env, "approvals", "approve", request, "--reason", "ok", "--digest", digest)
        assert (refused.returncode, "not-an-approver" in refused.stderr) == (1, True)


def test_what_an_agent_writes_reaches_the_terminal_as_letters(bench: GateBench, tmp_path: Path) -> None:
    words = "\x1b[2J\x1b]0;owned\x07 [bold]x[/bold]\u202e\nstate        executed"
    request = bench.draft("Fjord Oy", rationale=words)
    bench.executor().work()
    env = environment(bench, tmp_path, "ann")
    for command in (("show", request), ("list",), ("show", request, "-f", "json")):
        printed = run(env, "approvals", *command).stdout
        assert "\x1b" not in printed
        assert "\u202e" not in printed
    shown = run(env, "approvals", "show", request).stdout
    assert "  | \\u{1b}[2J\\u{1b}]0;owned\\u{7} [bold]x[/bold]\\u{202e}" in shown
    assert "WARNING      rationale: 4 hidden or control characters" in shown
    assert [line for line in shown.splitlines() if line.startswith("state ")] == [
        "state        waits for approval (1 more needed)"
    ]


def test_watch_prints_what_comes_and_moves_on(bench: GateBench, tmp_path: Path) -> None:
    executor = bench.executor()
    executor.work()
    env = environment(bench, tmp_path, "ann")
    command = [*COMMAND, "approvals", "watch", "--every", "1", "--format", "json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as watching, ended(watching):
        assert watching.stdout is not None
        request = bench.draft("Granite Oy")
        executor.work()
        lines = (json.loads(line) for line in watching.stdout)
        first = next(line for line in lines if line["request"] == request)
        assert first["state"] == "waiting"
        bench.deny("bob", request)
        executor.work()
        last = next(line for line in lines if line["request"] == request and line["outcome"])
        assert last["state"] == "denied"
        watching.send_signal(signal.SIGINT)
        assert watching.wait(SECONDS) == 0


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the process also where the test fails: leaving it would wait for its end."""
    try:
        yield
    finally:
        process.kill()


def test_stop_all_asks_first_and_stops_the_gate(bench: GateBench, tmp_path: Path) -> None:
    request = bench.draft("Halite Oy")
    executor = bench.executor()
    executor.work()
    env = environment(bench, tmp_path, "carl")
    asked = run(env, "approvals", "stop-all", "--reason", "Drill.")
    assert asked.returncode == 2
    assert run(env, "approvals", "stop-all", "--reason", "Drill.", "--yes").returncode == 0
    try:
        assert "STOPPED by carl" in run(env, "approvals", "list").stderr
        executor.work()
        assert bench.record(request)["state"] == "stopped"
    finally:
        end_stops(bench)


def end_stops(bench: GateBench) -> None:
    """End all stops, as the administrator."""
    folder = f"{bench.gate.mounts.decisions}/metadata/_stops"
    for entity in bench.root.list(folder)["data"]["keys"]:
        bench.root.delete(f"{folder}/{entity}")


def test_mistakes_are_told_without_a_traceback(bench: GateBench, tmp_path: Path) -> None:
    env = environment(bench, tmp_path, "ann")
    for words, code in (
        (("show", "nonsense"), 1),
        (("show", "vendor-onboarding." + "a" * 20), 1),
        (("list", "--gate", str(tmp_path / "none.json")), 2),
        (("list", "--token-file", str(tmp_path / "none.jwt")), 1),
    ):
        done = run(env, "approvals", *words)
        assert (done.returncode, "Traceback" in done.stderr, "hint: " in done.stderr) == (code, False, True), words
    agent = tmp_path / "agent.jwt"
    agent.write_text(bench.sign("vera", "vendor-onboarding", "procurement", workflow="vendor-onboarding"))
    refused = run(env, "approvals", "list", "--token-file", str(agent))
    assert (refused.returncode, "login-refused" in refused.stderr) == (1, True)


def test_a_vault_login_serves_too_and_is_not_revoked(bench: GateBench, tmp_path: Path) -> None:
    env = environment(bench, tmp_path, "ann")
    del env["NARROWGATE_APPROVER_TOKEN_FILE"]
    assert "There is no token of yours" in run(env, "approvals", "list").stderr
    with bench.approver("ann") as ann:
        (tmp_path / ".vault-token").write_text(ann.vault.token + "\n")
        assert run(env, "approvals", "list").returncode == 0
        assert run({**env, "VAULT_TOKEN": ann.vault.token}, "approvals", "list").returncode == 0
        ann.who()
    done = run(env, "approvals", "list")
    assert (done.returncode, VaultRefusedError.code in done.stderr) == (1, True)
