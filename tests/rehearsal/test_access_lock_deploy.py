"""The real engine refuses a deploy that the lock does not state, in preview, and lets a smaller one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rehearsal.live import LiveRehearsal


def preview(rehearsal: LiveRehearsal) -> tuple[int, str]:
    done = rehearsal.run("pulumi", "preview", "--non-interactive", "--color", "never", check=False)
    return done.returncode, done.stdout + done.stderr


def test_preview_is_held_to_the_lock(rehearsal: LiveRehearsal) -> None:
    workflow: Path = rehearsal.layout.stacks / "workflows" / "ticket-drafting.yaml"
    before = workflow.read_text(encoding="utf-8")
    try:
        workflow.write_text(before.replace("requesters: [service-desk]", "requesters: [service-desk, interns]"))
        code, shown = preview(rehearsal)
        assert code != 0
        assert "ticket-drafting is not within the lock: may be asked by people in interns" in shown
        assert "narrowgate access lock --env dev" in shown
        workflow.unlink()
        code, shown = preview(rehearsal)
        assert code == 0, shown
        assert "the lock states more than the plan grants" in shown
    finally:
        workflow.write_text(before, encoding="utf-8")
    code, shown = preview(rehearsal)
    assert code == 0, shown
    assert "the lock states more" not in shown
