"""A running rehearsal as a value: what tests and the demo ask of it, without knowing any path or port.

It starts one in a folder of its own and ends every process of it whatever happened. It must not decide anything.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rehearsal import aws, bao, idp, postgres
from rehearsal.layout import CHECKOUT, Layout, find_cache
from rehearsal.operator_environment import operator_environment
from rehearsal.progress import Progress
from rehearsal.steps import UP, run_steps, stop_all

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import hvac
    import psycopg

    from rehearsal.steps import Step

COMMAND_SECONDS = 600


@dataclass(frozen=True, slots=True)
class LiveRehearsal:
    """A rehearsal whose servers run; `layout` tells where everything is, `layout.stacks` what it deploys."""

    layout: Layout

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
def open_rehearsal(root: Path, *, steps: Sequence[Step] = UP, stacks: Path | None = None) -> Iterator[LiveRehearsal]:
    """Start a rehearsal under `root` by `steps`, and end all its processes on the way out, also after a failure.

    `stacks` is the folder to deploy, by default the checkout's.
    """
    layout = replace(Layout(root=root, cache=find_cache()), stacks=stacks or CHECKOUT / "stacks")
    try:
        run_steps(layout, Progress(), steps)
        yield LiveRehearsal(layout)
    finally:
        stop_all(layout)
