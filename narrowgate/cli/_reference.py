"""Renders the reference page of the command line from the commands themselves, so that none is undocumented.

Only tests and `make docs` call this. It must not know any command by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD = """# The command line

Generated from the commands; `make docs` writes it anew. Every command has `--help`, with examples, and the option
`--install-completion` sets up completion for your shell. Exit codes: 0 fine; 1 the answer is no, or something is wrong
with what was given; 2 the command can't be carried out. `access diff` and `access compare` add 3: undecided, which is
to be treated as new access.
"""


def render_reference(app: typer.Typer) -> str:
    """Return the page, as Markdown, for all commands of `app`."""
    sections = [_render(path, command) for path, command in walk(typer.main.get_command(app), ("narrowgate",))]
    return "\n".join([HEAD, *sections])


# Commands are `Any` here: typer keeps its command classes private.
def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - see above
    """Yield each command below `command` that does something, with the words that call it."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name in sorted(inner):
        yield from walk(inner[name], (*path, name))


def _render(path: tuple[str, ...], command: Any) -> str:  # noqa: ANN401 - as above
    lines = [f"## {' '.join(path)}", "", *describe(command), ""]
    rows = [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]
    if rows:
        lines += ["| argument or option | meaning |", "| --- | --- |", *rows, ""]
    return "\n".join(lines)


def describe(command: Any) -> list[str]:  # noqa: ANN401 - as above
    """Return what `command` says of itself, examples too, without markup."""
    parts = (_plain(text) for text in (command.help, command.epilog) if text)
    return "\n\n".join(parts).split("\n")


def _row(parameter: Any) -> str:  # noqa: ANN401 - as above
    if parameter.param_type_name == "argument":
        name = f"`{parameter.name.upper()}`"
    else:
        name = ", ".join(f"`{option}`" for option in [*parameter.opts, *parameter.secondary_opts])
    meaning = _plain(getattr(parameter, "help", None) or "").replace("\n", " ").replace("|", "\\|")
    default = parameter.default
    shown = (
        ""
        if default in (None, False, True, ()) or callable(default)
        else f" Default: `{getattr(default, 'value', default)}`."
    )
    return f"| {name} | {meaning}{shown} |"


def _plain(markup: str) -> str:
    """Return help text without rich's markup, one paragraph a line."""
    text = Text.from_markup(markup).plain
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n")).strip()
