"""The demo sees what is declared, and fails where it does not."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from rehearsal import demo

if TYPE_CHECKING:
    from rehearsal.live import LiveRehearsal


def test_the_demo_sees_what_is_declared(rehearsal: LiveRehearsal) -> None:
    said = io.StringIO()
    outcomes = demo.run_demo(rehearsal.layout, Console(file=said, width=200))
    assert [outcome for outcome in outcomes if not outcome.as_expected] == []
    refused = [outcome for outcome in outcomes if outcome.seen == "refused"]
    assert f"{len(outcomes) - len(refused)} allowed, {len(refused)} refused" in said.getvalue()
    tried = " ".join(outcome.what for outcome in refused)
    for kind in ("amer", "customer_email", "Vault: credentials", "high impact", "in no group", "expired", "documents"):
        assert kind in tried
    files = sorted(path.name for path in rehearsal.layout.ledgers.glob("*.jsonl"))
    assert files == [f"{name}.jsonl" for name in (demo.SUMMARIZATION, demo.DRAFTING, demo.ONBOARDING)]


def test_the_demo_tries_dev_in_prod_and_prod_itself(both: LiveRehearsal) -> None:
    outcomes = demo.run_demo(both.layout, Console(file=io.StringIO()), both.of("prod").layout)
    assert [outcome for outcome in outcomes if not outcome.as_expected] == []
    crossed = [(outcome.what, outcome.seen) for outcome in outcomes if outcome.who.endswith("in prod")]
    assert crossed == [
        ("log in: dev's identity token", "refused"),
        ("Vault: dev's login", "refused"),
        ("documents, by dev's credentials", "refused"),
        ("documents: list runbooks/", "allowed"),
        ("documents: list vendors/", "refused"),
        ("incidents: titles in emea", "allowed"),
    ]


def test_the_demo_fails_where_the_server_decides_otherwise(
    rehearsal: LiveRehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = demo.Trial("nobody", "what is never refused", demo.REFUSED, lambda: "it was allowed")
    monkeypatch.setattr(demo, "_list_logins", lambda _layout: [trial])
    with pytest.raises(demo.DemoError, match="what is never refused: expected refused, but allowed"):
        demo.run_demo(rehearsal.layout, Console(file=io.StringIO()))
