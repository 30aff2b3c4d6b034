"""The reference page of the command line is that of the commands, and every command says what it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from narrowgate.cli._reference import describe, render_reference, walk
from narrowgate.cli.app import build_app

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = dict(walk(typer.main.get_command(build_app()), ("narrowgate",)))


def test_the_page_is_that_of_the_commands(golden: Callable[[str, str], None]) -> None:
    golden(str(PAGE), render_reference(build_app()))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_a_command_says_what_it_does_and_shows_an_example(path: tuple[str, ...]) -> None:
    text = " ".join(describe(COMMANDS[path]))
    assert COMMANDS[path].help
    assert f"{' '.join(path)}" in text


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_option_says_what_it_means(path: tuple[str, ...]) -> None:
    silent = [parameter.name for parameter in COMMANDS[path].params if not getattr(parameter, "help", None)]
    assert silent == []
