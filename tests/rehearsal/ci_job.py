"""A job of CI in a running rehearsal: what it holds after it logged in, for tests that deploy or attack with it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rehearsal import bao, ci
from rehearsal.aws import AccessKey

if TYPE_CHECKING:
    import hvac

    from narrowgate.compile.documents import SystemIdentity
    from rehearsal.live import LiveRehearsal

COMMAND_SECONDS = 600


@dataclass(frozen=True)
class Job:
    """A job that is logged in: its whole process environment, and clients that carry its credentials alone."""

    rehearsal: LiveRehearsal
    environment: dict[str, str]

    @property
    def key(self) -> AccessKey:
        """Return the keys of its AWS session."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return AccessKey(*(self.environment[name] for name in names))

    def aws(self, service: str) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        """Return an AWS client."""
        return self.rehearsal.aws(service, self.key)

    @property
    def vault(self) -> hvac.Client:
        """Return a Vault client."""
        return bao.open_client(self.rehearsal.layout, self.environment["VAULT_TOKEN"])

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the real engine as the job."""
        command = [str(self.rehearsal.layout.bin / "pulumi"), *arguments, "--non-interactive", "--color", "never"]
        return subprocess.run(
            command,
            env=self.environment,
            cwd=self.rehearsal.layout.project,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )


def start_job(rehearsal: LiveRehearsal, identity: SystemIdentity) -> Job:
    """Log a job in that is `identity`."""
    return Job(rehearsal, ci.job_environment(rehearsal.layout, identity))
