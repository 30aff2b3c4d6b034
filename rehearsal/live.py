"""A running rehearsal as a value: what tests and the demo ask of it, without knowing any path or port.

It starts one in a folder of its own and ends every process of it whatever happened. It must not decide anything.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rehearsal import aws, bao, idp, postgres
from rehearsal.environments import account, describe, find_bucket
from rehearsal.layout import CHECKOUT, EnvironmentLayout, Layout, find_cache
from rehearsal.operator_environment import name_part, operator_environment
from rehearsal.processes import find, stop_named
from rehearsal.progress import Progress
from rehearsal.state import get_port
from rehearsal.steps import list_server_steps, list_steps, run_steps, stop_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import hvac
    import psutil
    import psycopg

COMMAND_SECONDS = 600


@dataclass(frozen=True, slots=True)
class LiveRehearsal:
    """A rehearsal whose servers run, seen from one environment.

    `layout` tells where everything is, `layout.stacks` what it deploys; `of` gives another environment of it.
    """

    layout: EnvironmentLayout

    def of(self, environment: str) -> LiveRehearsal:
        """Return the same rehearsal seen from `environment`."""
        return LiveRehearsal(self.layout.of(environment))

    @property
    def account(self) -> str:
        """Return the number of the environment's AWS account."""
        return account(self.layout)

    @property
    def region(self) -> str:
        """Return the AWS region that the environment is in."""
        return describe(self.layout).aws.region

    @property
    def bucket(self) -> str:
        """Return the name of the environment's bucket of documents."""
        return find_bucket(self.layout)

    def environment(self, **more: str) -> dict[str, str]:
        """Return this process's environment as `eval "$(narrowgate rehearsal env)"` makes it, and `more`."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_REPLACED)}
        path = os.environ.get("PATH", os.defpath)
        return {**inherited, **operator_environment(self.layout, path=path), **more}

    def run(self, *command: str, check: bool = True, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a plain client (`pulumi`, `bao`, `psql`, `aws`) as the operator and return what it printed.

        Raises:
            AssertionError: it failed and `check` is set; the text holds its output.

        """
        environment = self.environment(**more)
        done = subprocess.run(
            [str(self.layout.bin / command[0]), *command[1:]],
            env=environment,
            cwd=self.layout.checkout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def token(
        self, user: str, workflow: str | None = None, *, groups: Sequence[str] | None = None, ttl_seconds: int = 600
    ) -> str:
        """Return a JWT of the identity provider for `user`, and for the agent of `workflow` where one is named."""
        subject = idp.look_up(user, groups, workflow)
        return idp.sign_token(self.layout, subject, ttl_seconds=ttl_seconds)

    def manifest(self, workflow: str) -> Path:
        """Return the file of a deployed workflow's manifest."""
        return self.layout.manifests / f"{workflow}.json"

    def port(self, server: str) -> int:
        """Return the port of a server, by its module's NAME."""
        return get_port(self.layout, name_part(self.layout, server))

    def process(self, server: str) -> psutil.Process | None:
        """Return the running process of a server, by its module's NAME."""
        return find(self.layout, name_part(self.layout, server))

    def stop(self, server: str) -> bool:
        """End a server, by its module's NAME, and return whether it ran."""
        return stop_named(self.layout, name_part(self.layout, server))

    def vault(self, token: str | None = None) -> hvac.Client:
        """Return a client of Vault with `token`, or as the operator."""
        return bao.open_client(self.layout, bao.log_in_operator(self.layout) if token is None else token)

    def aws(self, service: str, key: aws.AccessKey | None = None) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        """Return a boto3 client of the emulated AWS with `key`, or as the operator."""
        return aws.open_client(self.layout, service, key or aws.read_operator_key(self.layout))

    def postgres(self, user: str = postgres.DEPLOYER) -> psycopg.Connection:
        """Return a connection to the database as one of the rehearsal's own logins."""
        return postgres.connect(self.layout, user)


# The caller's own settings of these clients must not reach them.
_REPLACED = ("PULUMI_", "VAULT_", "BAO_", "AWS_", "PG", "NARROWGATE_")


@contextmanager
def open_rehearsal(
    root: Path, *, environments: Sequence[str] = ("dev",), deployed: bool = True, stacks: Path | None = None
) -> Iterator[LiveRehearsal]:
    """Start a rehearsal of `environments` under `root`, and end all its processes on the way out, also after a failure.

    It is seen from the first environment. `stacks` is the folder to deploy, by default the checkout's; where nothing is
    to be `deployed`, the servers run and are empty.
    """
    layout = Layout(root=root, cache=find_cache(), stacks=stacks or CHECKOUT / "stacks")
    layouts = [layout.of(name) for name in environments]
    try:
        run_steps(layout, Progress(), list_steps(layouts) if deployed else list_server_steps(layouts))
        yield LiveRehearsal(layouts[0])
    finally:
        stop_all(layout)
