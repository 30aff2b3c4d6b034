"""An isolated PULUMI_HOME: our language host and doubles as the engine's plugins, and the environment that uses it.

A user's own `~/.pulumi` is never read or written. The plugins are wrapper scripts that run with the checkout's own
Python, so nothing here depends on what is on PATH.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST_FOLDER: Final = Path(__file__).resolve().parent / "host"
EXECUTABLE: Final = 0o755
PRIVATE: Final = 0o700


@dataclass(frozen=True, slots=True)
class PluginWrapper:
    """One plugin: `kind` and `name` as the engine knows them, `version` without `v`, and Python's arguments."""

    kind: str
    name: str
    version: str
    arguments: tuple[str, ...]

    @property
    def folder(self) -> str:
        """Return the name of its folder under PULUMI_HOME/plugins."""
        return f"{self.kind}-{self.name}-v{self.version}"

    @property
    def executable(self) -> str:
        """Return the name of its program."""
        return f"pulumi-{self.kind}-{self.name}"


def list_plugins(engine_version: str) -> tuple[PluginWrapper, ...]:
    """Return the rehearsal's plugins: providers carry the exact version of the installed SDK, which asks for it."""
    module = ("-P", "-u", "-m")  # -P: the working directory is the user's, no module may come from there
    guard = ("-u", str(HOST_FOLDER / "guard.py"))
    return (
        PluginWrapper("language", "python", engine_version, (*module, "rehearsal.host")),
        PluginWrapper("resource", "aws", version("pulumi-aws"), (*module, "rehearsal.doubles.aws")),
        PluginWrapper("resource", "vault", version("pulumi-vault"), (*module, "rehearsal.doubles.vault")),
        PluginWrapper("resource", "pulumi-python", engine_version, (*guard, "pulumi.dynamic")),
    )


def list_project_plugins(home: Path, engine_version: str) -> dict[str, list[dict[str, str]]]:
    """Return the section `plugins` of a project's Pulumi.yaml that makes any engine use our host.

    A Pulumi of the user's own has a Python host beside it, which it prefers to every PULUMI_HOME, but not to a plugin
    that the project names.
    """
    sections = {"language": "languages", "resource": "providers"}
    bundled = {"python", "pulumi-python"}
    named: dict[str, list[dict[str, str]]] = {}
    for plugin in list_plugins(engine_version):
        if plugin.name in bundled:
            entry = {"name": plugin.name, "path": str(home / "plugins" / plugin.folder)}
            named.setdefault(sections[plugin.kind], []).append(entry)
    return named


def write_pulumi_home(home: Path, *, python: Path, engine_version: str) -> Path:
    """Make `home` a PULUMI_HOME with our plugins, run by `python`, and return it. Safe to repeat.

    Plugins of other versions, from an earlier engine or SDK, are removed: the engine would prefer a newer one.
    """
    folder = home / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    home.chmod(PRIVATE)
    plugins = list_plugins(engine_version)
    for stale in {path.name for path in folder.iterdir()} - {plugin.folder for plugin in plugins}:
        _remove(folder / stale)
    for plugin in plugins:
        _write_wrapper(folder / plugin.folder / plugin.executable, python, plugin.arguments)
    return home


def pulumi_environment(home: Path, *, state: Path, passphrase_file: Path) -> Mapping[str, str]:
    """Return the environment in which `pulumi` uses `home` and the file backend `state`, and nothing of the user's."""
    return {
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase_file),
        "PULUMI_IGNORE_AMBIENT_PLUGINS": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def _write_wrapper(path: Path, python: Path, arguments: tuple[str, ...]) -> None:
    """Write a script that becomes `python arguments …`: by exec, so that the engine is the plugin's parent."""
    path.parent.mkdir(exist_ok=True)
    script = f'#!/bin/sh\nexec {shlex.join([str(python), *arguments])} "$@"\n'
    if path.exists() and path.read_text() == script:
        return
    fresh = path.with_suffix(".new")
    fresh.write_text(script)
    fresh.chmod(EXECUTABLE)
    fresh.replace(path)


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.rmdir() if folder.is_dir() else folder.unlink()
