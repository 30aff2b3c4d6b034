"""What the tests of drift share: the expected, one look at what stands, the command, and changes that are taken back.

Not a test module.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from narrowgate.audit.drift.comparison import find_drift
from narrowgate.audit.drift.reading import read_standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    import hvac

    from narrowgate.audit.drift.expected import Expected
    from narrowgate.audit.drift.facts import Finding, Kind
    from narrowgate.compile.documents import IamRole
    from rehearsal.live import LiveRehearsal

WORKFLOW, OTHER = "incident-summarization", "ticket-drafting"
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}
ROGUE_HCL = 'path "narrowgate-aws/sts/*" {\n  capabilities = ["read"]\n}\n'


def find(rehearsal: LiveRehearsal, expected: Expected) -> list[Finding]:
    with mock.patch.dict(os.environ, rehearsal.environment(), clear=True):
        standing = read_standing(expected, lambda _: None)
    assert standing.unread == (), standing.unread
    return find_drift(expected, standing)


def run(rehearsal: LiveRehearsal, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    where = ("--stacks", str(rehearsal.layout.stacks), "--config-dir", str(rehearsal.layout.project))
    return subprocess.run(
        [str(rehearsal.layout.venv / "bin" / "narrowgate"), "access", "drift", "--env", "dev", *where, *options],
        env=rehearsal.environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_found(found: list[Finding], kind: Kind, thing: str, detail: str = "") -> None:
    assert any(f.kind is kind and thing in f.thing and detail in f.detail for f in found), (kind, thing, detail, found)


def first_role(expected: Expected, tool: str) -> IamRole:
    return next(role for name, role in sorted(expected.locked.roles.items()) if f"-{tool}-" in name)


@contextmanager
def written(vault: hvac.Client, path: str, data: dict[str, Any] | None) -> Iterator[None]:
    """Write `data` to `path` (None: delete it); afterwards it holds what it held, or is gone."""
    held = vault.read(path)
    if data is None:
        vault.delete(path)
    else:
        vault.write_data(path, data=data)
    try:
        yield
    finally:
        if held is None:
            vault.delete(path)
        else:
            vault.write_data(path, data=held["data"])
