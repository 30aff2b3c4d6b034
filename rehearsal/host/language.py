"""The calls of `pulumirpc.LanguageRuntime` that the engine makes of a Python host."""
# ruff: noqa: N802, ARG002 -- the protocol names the methods and gives each the same two arguments

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import grpc
from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped]  # protobuf ships no types
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from rehearsal.host.pack import PackProxy
from rehearsal.plugin_process import start_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.host.children import Children

VERSION: Final = "0.1.0"
HERE: Final = Path(__file__).resolve().parent
BAIL: Final = 32  # see runner.py
PACK_THREADS: Final = 16
LOOK_SECONDS: Final = 60.0
# Programs for the project's own Python, which need not be this one. Each prints JSON.
LIST_PACKAGES: Final = """
import glob, json, os, sys
files = [f for d in sys.path for f in glob.glob(os.path.join(glob.escape(d), "*", "pulumi-plugin.json"))]
found = [json.load(open(f)) for f in files]
print(json.dumps([[p["name"], p.get("version", ""), p.get("server", "")] for p in found if p.get("resource")]))
"""
SAY_VERSION: Final = "import json, platform; print(json.dumps(platform.python_version()))"
LIST_DISTRIBUTIONS: Final = """
import importlib.metadata, json
print(json.dumps(sorted({(d.metadata["Name"], d.version) for d in importlib.metadata.distributions()})))
"""


Said = queue.Queue[tuple[str, bytes] | None]


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs programs and packs with the Python of their project, for the engine at `engine`."""

    def __init__(self, engine: str, children: Children) -> None:
        self._engine = engine
        self._children = children

    def Handshake(
        self, request: language_pb2.LanguageHandshakeRequest, context: grpc.ServicerContext
    ) -> language_pb2.LanguageHandshakeResponse:
        """Take the engine's address; it may have none to give on the command line."""
        self._engine = request.engine_address or self._engine
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Say which host this is."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetRequiredPackages(
        self, request: language_pb2.GetRequiredPackagesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPackagesResponse:
        """List the provider packages that are installed beside the program."""
        packages = [
            plugin_pb2.PackageDependency(name=name, kind="resource", version=version, server=server)
            for name, version, server in self._look(request.info, LIST_PACKAGES, context)
        ]
        return language_pb2.GetRequiredPackagesResponse(packages=packages)

    def GetRequiredPlugins(
        self, request: language_pb2.GetRequiredPluginsRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetRequiredPluginsResponse:
        """Answer the predecessor of GetRequiredPackages: nothing more."""
        return language_pb2.GetRequiredPluginsResponse()

    def GetProgramDependencies(
        self, request: language_pb2.GetProgramDependenciesRequest, context: grpc.ServicerContext
    ) -> language_pb2.GetProgramDependenciesResponse:
        """List the Python distributions that the program can import (`pulumi about`)."""
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=version)
                for name, version in self._look(request.info, LIST_DISTRIBUTIONS, context)
            ]
        )

    def InstallDependencies(
        self, request: language_pb2.InstallDependenciesRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.InstallDependenciesResponse]:
        """Install nothing: the project's lock does."""
        yield language_pb2.InstallDependenciesResponse(stdout=b"The project's virtual environment is made by make.\n")

    def RuntimeOptionsPrompts(
        self, request: language_pb2.RuntimeOptionsRequest, context: grpc.ServicerContext
    ) -> language_pb2.RuntimeOptionsResponse:
        """Ask nothing of the user."""
        return language_pb2.RuntimeOptionsResponse()

    def Template(
        self, request: language_pb2.TemplateRequest, context: grpc.ServicerContext
    ) -> language_pb2.TemplateResponse:
        """Change nothing in a new project."""
        return language_pb2.TemplateResponse()

    def About(self, request: language_pb2.AboutRequest, context: grpc.ServicerContext) -> language_pb2.AboutResponse:
        """Say which Python runs the programs."""
        python = _python_of(request.info, context)
        version = self._look(request.info, SAY_VERSION, context)
        return language_pb2.AboutResponse(executable=python, version=version)

    def Run(self, request: language_pb2.RunRequest, context: grpc.ServicerContext) -> language_pb2.RunResponse:
        """Run the program and wait for it."""
        python = _python_of(request.info, context)
        folder = request.info.program_directory or request.pwd
        process = self._children.start(
            [python, "-u", str(HERE / "runner.py")],
            cwd=folder,
            env=os.environ,
            stdin=subprocess.PIPE,
        )
        context.add_callback(lambda: self._children.stop(process))
        with self._children.running(process):
            _send(process.stdin, _run_parameters(request, self._engine))
            status = process.wait()
        if status == BAIL:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error="" if status == 0 else f"the program ended with exit status {status}")

    def RunPlugin(
        self, request: language_pb2.RunPluginRequest, context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a policy pack (kind `analyzer`) or another plugin that is written in Python."""
        python = _python_of(request.info, context)
        folder = request.info.program_directory
        env = dict(entry.split("=", 1) for entry in request.env if "=" in entry) or dict(os.environ)
        if request.kind == "analyzer":
            command = [python, "-u", str(HERE / "guard.py"), "pulumi.policy", *request.args, folder]
            yield from self._run_pack(command, folder, env, context)
        else:
            yield from self._run_plugin([python, "-u", folder, *request.args], request.pwd, env, context)

    def Cancel(self, request: empty_pb2.Empty, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """End everything that runs."""
        self._children.stop_all()
        return empty_pb2.Empty()

    def _look(self, info: language_pb2.ProgramInfo, program: str, context: grpc.ServicerContext) -> Any:  # noqa: ANN401 -- JSON
        """Return what `program` prints as JSON when the project's Python runs it, isolated from cwd and environment."""
        python = _python_of(info, context)
        try:
            result = subprocess.run(
                [python, "-I", "-c", program], capture_output=True, timeout=LOOK_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError) as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{python} can't list what is installed: {error}")
        return json.loads(result.stdout)

    def _run_pack(
        self, command: list[str], cwd: str, env: dict[str, str], context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Serve the proxy of a pack for as long as the engine keeps this call open."""
        reader, writer = os.pipe()
        proxy = PackProxy(command, cwd, env, writer, self._children)
        server, port = start_server(lambda _server: None, threads=PACK_THREADS, handlers=[proxy])

        def end() -> None:
            server.stop(0)
            proxy.stop()
            os.close(writer)

        if not context.add_callback(end):
            end()
        yield language_pb2.RunPluginResponse(stdout=f"{port}\n".encode())
        with os.fdopen(reader, "rb", 0) as stderr:
            while chunk := stderr.read(1 << 16):
                yield language_pb2.RunPluginResponse(stderr=chunk)

    def _run_plugin(
        self, command: list[str], cwd: str, env: dict[str, str], context: grpc.ServicerContext
    ) -> Iterator[language_pb2.RunPluginResponse]:
        """Run a plugin and pass on what it prints."""
        process = self._children.start(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        context.add_callback(lambda: self._children.stop(process))
        said: Said = queue.Queue()
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            threading.Thread(target=_pump, args=(stream, name, said), daemon=True).start()
        with self._children.running(process):
            for _stream in range(2):
                while (chunk := said.get()) is not None:
                    stream_name, data = chunk
                    stdout = stream_name == "stdout"
                    yield (
                        language_pb2.RunPluginResponse(stdout=data)
                        if stdout
                        else language_pb2.RunPluginResponse(stderr=data)
                    )
            yield language_pb2.RunPluginResponse(exitcode=process.wait())


def _pump(stream: IO[bytes], name: str, said: Said) -> None:
    """Put what `stream` gives into `said`, and None at its end."""
    for chunk in iter(lambda: os.read(stream.fileno(), 1 << 16), b""):
        said.put((name, chunk))
    said.put(None)


def _python_of(info: language_pb2.ProgramInfo, context: grpc.ServicerContext) -> str:
    """Return the Python of a project: its `virtualenv` (relative to the project, or absolute), else this one."""
    virtualenv = json_format.MessageToDict(info.options).get("virtualenv")
    if not virtualenv:
        return sys.executable
    python = Path(info.root_directory) / str(virtualenv) / "bin" / "python"
    if not python.exists():
        context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"the project's virtualenv has no {python}; make the virtual environment first",
        )
    return str(python)


def _run_parameters(request: language_pb2.RunRequest, engine: str) -> bytes:
    """Return what runner.py reads: a Run request as JSON."""
    return json.dumps(
        {
            "monitor": request.monitor_address,
            "engine": engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "dry_run": request.dryRun,
            "parallel": request.parallel,
            "root_directory": request.info.root_directory,
            "config": dict(request.config),
            "secret_keys": list(request.configSecretKeys),
            "program": request.info.entry_point,
            "args": list(request.args),
        }
    ).encode()


def _send(stream: IO[bytes] | None, message: bytes) -> None:
    """Write `message` and close; a program that died at its start tells why itself."""
    if stream is None:
        return
    try:
        with stream:
            stream.write(message)
    except BrokenPipeError:
        return
