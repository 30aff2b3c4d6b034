"""In the real engine: a stack that binds what another environment has is refused in preview, and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

PREVIEW = ("pulumi", "preview", "--non-interactive", "--color", "never")


@pytest.fixture
def prod(rehearsal: LiveRehearsal) -> Iterator[Path]:
    """Give the file of an environment beside dev's own."""
    file = rehearsal.layout.project / "Pulumi.prod.yaml"
    file.write_text((CHECKOUT / "stacks" / "Pulumi.prod.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    yield file
    file.unlink()


def test_another_environments_bucket_is_refused_in_preview(rehearsal: LiveRehearsal, prod: Path) -> None:
    rehearsal.run(*PREVIEW, "--expect-no-changes")
    text = prod.read_text(encoding="utf-8")
    assert "acme-prod-documents" in text
    prod.write_text(text.replace("acme-prod-documents", rehearsal.bucket), encoding="utf-8")
    refused = rehearsal.run(*PREVIEW, check=False)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert f"dev and prod share the bucket {rehearsal.bucket}" in said
    assert "shared-environment" in said
    assert "Traceback" not in said
