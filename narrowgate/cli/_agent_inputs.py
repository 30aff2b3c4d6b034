"""What the commands for agents share: which manifest, which token, and a login around them."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.runtime import Agent, Manifest

WorkflowOption = Annotated[str | None, typer.Option("--workflow", "-w", help="The workflow to act as.")]
ToolOption = Annotated[str, typer.Option("--tool", "-t", help="The declared tool whose credentials are wanted.")]
ManifestOption = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        envvar="NARROWGATE_MANIFEST",
        show_envvar=False,
        help="The workflow's manifest, or a folder of manifests; else what NARROWGATE_MANIFEST names.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="NARROWGATE_TOKEN_FILE",
        show_envvar=False,
        help="The file of the identity provider's token, read again for each login; else NARROWGATE_TOKEN_FILE.",
    ),
]


def find_manifest(manifest: Path | None, workflow: str | None) -> Manifest:
    """Return the manifest of `workflow`; raise ManifestError where there is none, or it is another workflow's."""
    from narrowgate.runtime import read_manifest

    return read_manifest(manifest, workflow=workflow)


@contextmanager
def log_in(
    manifest: Path | None,
    workflow: str | None,
    token_file: Path | None,
    *,
    leave: bool = False,
    ledger: Path | None = None,
) -> Iterator[Agent]:
    """Log in as the agent of `workflow`; with `leave`, what it fetched lives on after the block.

    `ledger` is where it is recorded, by default what NARROWGATE_LEDGER says.
    """
    from narrowgate.runtime import login, token_in_file

    source = None if token_file is None else token_in_file(token_file)
    with login(find_manifest(manifest, workflow), source, ledger=ledger) as agent:
        yield agent
        if leave:
            agent.close(revoke=False)
