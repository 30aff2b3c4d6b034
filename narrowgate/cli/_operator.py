"""What the operator's commands share: which manifest, which identities, how results are shown. It decides nothing."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.approvals.settings import Gate
    from narrowgate.operations.revoking import Outcome
    from narrowgate.operations.steps import Operator, StepResult
    from narrowgate.operations.target import Target

MANIFESTS_VARIABLE: Final = "NARROWGATE_MANIFESTS"


class ReportFormat(StrEnum):
    """How an outcome is reported."""

    TEXT = "text"
    JSON = "json"


class NoManifestError(NarrowgateError):
    """There is no manifest of the workflow: nobody can tell where its access is."""

    code = "manifest-missing"
    exit_code = 2
    hint = f"Write the stack's output `manifests` to a folder, a JSON file each, and name it in {MANIFESTS_VARIABLE}."


def load_manifest(workflow: str, manifest: Path | None) -> Mapping[str, Any]:
    """Return a workflow's manifest: `manifest`, or its file in the folder that NARROWGATE_MANIFESTS names."""
    folder = os.environ.get(MANIFESTS_VARIABLE)
    path = manifest or (Path(folder) / f"{workflow}.json" if folder else None)
    if path is None:
        raise NoManifestError(f"No manifest of {workflow} is given.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NoManifestError(f"The manifest {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise NoManifestError(f"The manifest {path} is not JSON.") from None
    if not isinstance(document, dict) or document.get("workflow") != workflow:
        raise NoManifestError(f"{path} is not the manifest of {workflow}.")
    return document


@contextlib.contextmanager
def open_operator_of(target: Target) -> Iterator[Operator]:
    """Yield the operator's identities in Vault (VAULT_TOKEN) and AWS (its usual settings) for `target`."""
    from narrowgate.operations.revoking import name_operator
    from narrowgate.operations.steps import Operator
    from narrowgate.operations.vault import open_operator
    from narrowgate.runtime.vault import ca_file

    with (
        ca_file(target.ca_pem) as verify,
        open_operator(target.address, verify=verify, namespace=target.namespace) as vault,
    ):
        yield Operator(vault, _open_iam(target), name_operator(vault), _read_gate())


def _read_gate() -> Gate | None:
    """Return the gate that NARROWGATE_GATE describes, None where it names none."""
    from narrowgate.approvals import read_gate
    from narrowgate.approvals.settings import VARIABLE

    return read_gate() if os.environ.get(VARIABLE) else None


def _open_iam(target: Target) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
    if not target.roles:
        return None
    import boto3

    return boto3.client("iam", region_name=target.region, endpoint_url=target.endpoint_url)


def print_step(result: StepResult) -> None:
    """Print one step's result on stderr as it comes, so that stdout holds the whole outcome only."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    mark = Text("ok    ", "green") if result.held else Text("failed", "bold red")
    console.print(Text.assemble(mark, f" {result.name}: {result.detail}"))


def outcome_as_json(outcome: Outcome, **more: object) -> str:
    """Return an outcome as JSON text, version 1."""
    steps = [asdict(result) for result in outcome.results]
    return json.dumps({"version": 1, **more, "held": outcome.held, "steps": steps, "lasting": list(outcome.lasting)})


def show_preview(preview: Outcome, output: ReportFormat, about: Mapping[str, str | None]) -> None:
    """Show what would be done, on stdout."""
    if output is ReportFormat.JSON:
        typer.echo(outcome_as_json(preview, **about, dry_run=True))
        return
    for result in preview.results:
        typer.echo(f"would {result.detail}" if result.held else f"cannot: {result.detail}")
    print_lasting(preview)


def confirm(question: str) -> bool:
    """Return whether a person at a terminal says yes; where there is none, say how to do it."""
    if sys.stdin.isatty() and sys.stdout.isatty() and typer.confirm(question, err=True):
        return True
    typer.echo("Nothing was done. To do it, give --yes.", err=True)
    return False


def print_lasting(outcome: Outcome) -> None:
    """Say what cannot be cut at once."""
    if outcome.lasting:
        typer.echo("What cannot be cut at once:")
    for line in outcome.lasting:
        typer.echo(f"  {line}")
