"""`narrowgate lint`: what it takes, what each format says, and its exit codes, through the command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from narrowgate.rules import judge
from narrowgate.rules.files import LARGEST, UnreadableFileError, read_text

if TYPE_CHECKING:
    from pathlib import Path

CLEAN = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/reports/*"}
ADMIN = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ANYBODY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "narrowgate", "lint", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "clean.json").write_text(policy(CLEAN))
    (tmp_path / "deep" / "admin.json").write_text(policy(CLEAN, ADMIN))
    (tmp_path / "deep" / "er" / "anybody.json").write_text(policy(ANYBODY))
    (tmp_path / "deep" / "root.hcl").write_text('path "sys/policies/acl/*" {\n  capabilities = ["update"]\n}\n')
    return tmp_path


def test_a_clean_file_exits_0(folder: Path) -> None:
    done = run("clean.json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0 errors, 0 warnings\n"


ODD = {
    "empty list": (b"[]", "it holds no policy"),
    "null": (b"null", "it holds no policy"),
    "list of statements": (
        b'[{"Effect": "Allow", "Action": "*", "Resource": "*"}]',
        "document: unknown element 'Effect'",
    ),
    "UTF-16": ('{"Version": 1}'.encode("utf-16"), "it is not UTF-8 text (byte 0)"),
    "too deep": (b"[" * 100_000, "it is no JSON: it is nested too deep"),
    "too large": (b" " * (LARGEST + 1), "it is larger than 16 MiB"),
    "a NUL": (b'{"Version": "\x00"}', "it is no JSON"),
    "a huge number": (b'{"Version": ' + b"9" * 5000 + b"}", "it is no JSON"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_files_are_refused_in_words(tmp_path: Path, name: str) -> None:
    content, why = ODD[name]
    (tmp_path / "odd.json").write_bytes(content)
    done = run("odd.json", cwd=tmp_path)
    assert done.returncode == 2
    assert f"odd.json: {why}" in " ".join(done.stderr.split())


def test_what_has_no_end_is_refused(tmp_path: Path) -> None:
    done = run("/dev/zero", cwd=tmp_path)
    assert done.returncode == 2
    assert "it is larger than 16 MiB" in done.stderr


def test_a_byte_order_mark_and_a_single_statement_are_read(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"Statement": ADMIN}).encode())
    done = run("one.json", "-f", "json", cwd=tmp_path)
    assert done.returncode == 1
    assert "iam-role-no-admin" in {finding["rule"] for finding in json.loads(done.stdout)["findings"]}


def test_a_folder_without_policies_is_no_clean_folder(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "README").write_text("nothing yet")
    done = run("policies", cwd=tmp_path)
    assert done.returncode == 2
    assert "no file below it ends in .json or .hcl" in " ".join(done.stderr.split())


def test_a_folder_is_not_judged_without_what_it_only_points_to(folder: Path) -> None:
    (folder / "deep" / "gone.json").symlink_to(folder / "nowhere")
    done = run("deep", cwd=folder)
    assert done.returncode == 2
    assert "gone.json" in done.stderr
    assert "iam-role-no-admin" in done.stdout
    os.mkfifo(folder / "deep" / "waits.json")
    done = run("deep", cwd=folder)
    assert done.returncode == 2
    assert "it is no regular file" in " ".join(done.stderr.split())


def test_folders_are_judged_with_all_below_them(folder: Path) -> None:
    done = run(".", "--format", "json", cwd=folder)
    assert done.returncode == 1
    found = {(finding["path"], finding["rule"]) for finding in json.loads(done.stdout)["findings"]}
    assert ("deep/admin.json", "iam-role-no-admin") in found
    assert ("deep/er/anybody.json", "iam-trust-narrow") in found
    assert ("deep/root.hcl", "vault-policy-no-root-paths") in found
    assert not [path for path, _ in found if "clean" in path]


def test_warnings_alone_exit_0(folder: Path) -> None:
    (folder / "wide.json").write_text(policy({**CLEAN, "Resource": "arn:aws:s3:::*"}))
    done = run("wide.json", "-f", "json", cwd=folder)
    assert {finding["severity"] for finding in json.loads(done.stdout)["findings"]} == {"warning"}
    assert done.returncode == 0


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"\xff\xfe\x00",
        b"[1]",
        b'"text"',
        b'{"Version": "2012-10-17"}',
        b'{"Statement": [{"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}]}',
        b"[" * 100_000,
        b'path "x" {',
    ],
)
def test_what_cannot_be_read_exits_2_and_the_others_are_judged(folder: Path, content: bytes) -> None:
    (folder / "broken.json").write_bytes(content)
    done = run("broken.json", "deep", "missing", "-f", "json", cwd=folder)
    assert done.returncode == 2
    assert "broken.json" in done.stderr
    assert "missing" in done.stderr
    assert {finding["path"] for finding in json.loads(done.stdout)["findings"]} > {"deep/admin.json"}


def test_json_holds_these_keys_and_no_others(folder: Path) -> None:
    report = json.loads(run("deep", "--format", "json", cwd=folder).stdout)
    assert report.keys() == {"findings"}
    for finding in report["findings"]:
        assert finding.keys() == {"rule", "severity", "path", "line", "message", "detail"}
        assert finding["severity"] in {"error", "warning"}
        assert isinstance(finding["line"], int)
        assert " Fix: " in finding["detail"]


def test_a_finding_has_its_statements_line(folder: Path) -> None:
    (folder / "two.json").write_text('{"Version": "2012-10-17", "Statement": [\n' + json.dumps(CLEAN) + ",\n"
                                     + json.dumps(ADMIN) + "]}")  # fmt: skip
    findings = json.loads(run("two.json", "-f", "json", cwd=folder).stdout)["findings"]
    assert {finding["line"] for finding in findings if finding["rule"] == "iam-role-no-admin"} == {3}


def test_the_policies_of_one_role_are_judged_together(folder: Path) -> None:
    halves = [json.loads(policy({**ADMIN, "Action": action})) for action in ("iam:PassRole", "ec2:RunInstances")]
    (folder / "role.json").write_text(json.dumps(halves))
    together = json.loads(run("role.json", "-f", "json", cwd=folder).stdout)["findings"]
    assert "iam-no-privilege-escalation" in {finding["rule"] for finding in together}
    for index, half in enumerate(halves):
        (folder / f"half-{index}.json").write_text(json.dumps(half))
    apart = json.loads(run("half-0.json", "half-1.json", "-f", "json", cwd=folder).stdout)["findings"]
    assert "iam-no-privilege-escalation" not in {finding["rule"] for finding in apart}


def test_sarif_has_what_its_schema_requires(folder: Path) -> None:
    (folder / "deep" / "with a space.json").write_text(policy(ADMIN))
    log = json.loads(run("deep", "--format", "sarif", cwd=folder).stdout)
    assert log["version"] == "2.1.0"
    (one,) = log["runs"]
    rules = {rule["id"] for rule in one["tool"]["driver"]["rules"]}
    assert one["tool"]["driver"]["name"] == "narrowgate"
    assert one["results"]
    for result in one["results"]:
        assert result["ruleId"] in rules
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["region"]["startLine"] >= 1
        assert " " not in location["physicalLocation"]["artifactLocation"]["uri"]


def test_github_annotations_stand_on_one_line_each(folder: Path) -> None:
    done = run("deep", "--format", "github", cwd=folder)
    assert done.returncode == 1
    for line in done.stdout.splitlines():
        assert line.startswith(("::error file=deep/", "::warning file=deep/"))
        assert ",line=" in line
        assert ",title=" in line


def test_text_says_attack_and_fix(folder: Path) -> None:
    done = run("deep/admin.json", cwd=folder)
    assert "deep/admin.json:1: error: " in done.stdout
    assert "    attack: " in done.stdout
    assert "    fix: " in done.stdout


WORDS = ["Allow", "Deny", "*", "iam:*", "s3:Get?bject", "", "${x"]
KEYS = ["Version", "Statement", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"]
MORE_KEYS = ["StringLike", "Bool", "aws:username", "path", "capabilities", "PolicyDocument"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS + MORE_KEYS), inner, max_size=5),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(VALUES)
def test_any_json_is_judged_or_unreadable(value: object) -> None:
    try:
        facts = read_text(json.dumps(value), "x.json", "x")
    except UnreadableFileError:
        return
    judge(facts)


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='path "{}[]=\n#,capabilities*/', max_size=120))
def test_any_text_is_judged_or_unreadable(text: str) -> None:
    try:
        facts = read_text(text, "x.hcl", "x", hcl=True)
    except UnreadableFileError:
        return
    judge(facts)
