"""The Pulumi engine, and Vault's AWS plugins (secrets, logins): found, or built once from the Go module proxy.

None is in a Python package index. The plugins are under HashiCorp's BUSL 1.1: they are built on the user's machine for
the rehearsal and never shipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rehearsal.build_cache import file_sha256
from rehearsal.go_build import GoProgram, ensure_go_program
from rehearsal.layout import find_cache

if TYPE_CHECKING:
    from collections.abc import Callable

HERE: Final = Path(__file__).resolve().parent
ENGINE_VERSION: Final = "3.259.0"
# An engine of the user's own is taken from this version on (the first that was tried) and below that one.
OLDEST_ENGINE: Final = (3, 259, 0)
NEXT_MAJOR_ENGINE: Final = (4, 0, 0)
LOOK_SECONDS: Final = 60.0

ENGINE: Final = GoProgram(
    name="pulumi",
    version=ENGINE_VERSION,
    module=HERE,
    package="github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    linker_flags=f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v{ENGINE_VERSION}",
    expected_seconds=170,
)
AWS_SECRETS_ENGINE: Final = GoProgram(
    name="vault-plugin-secrets-aws",
    version="1.18.5",  # the newest that runs in OpenBao 2.7
    module=HERE / "vault_plugin",
    package="github.com/hashicorp/vault/builtin/logical/aws/cmd/aws",
    linker_flags="-s -w",
    expected_seconds=60,
)
AWS_LOGIN: Final = GoProgram(
    name="vault-plugin-auth-aws",
    version="1.18.5",
    module=HERE / "vault_plugin",
    package="github.com/hashicorp/vault/builtin/credential/aws/cmd/aws",
    linker_flags="-s -w",
    expected_seconds=90,
)


@dataclass(frozen=True, slots=True)
class BuiltProgram:
    """A program to run: where it is, its version without `v`, and the sha256 of the file in hexadecimal digits."""

    path: Path
    version: str
    sha256: str


def ensure_engine(report: Callable[[str], None], *, cache: Path | None = None) -> BuiltProgram:
    """Return the Pulumi engine: `pulumi` on PATH where its version is supported, else our own build.

    `report` gets a line of text now and then; `cache` is the folder outside the checkout, by default the shared one.

    Raises:
        RehearsalError: it can't be built; the error names the step, the reason and the log.

    """
    cache = cache or find_cache()
    found = find_engine(cache)
    if found is not None:
        return found
    path, digest = ensure_go_program(ENGINE, cache / "engine", cache, report)
    return BuiltProgram(path, ENGINE.version, digest)


def ensure_aws_secrets_engine(report: Callable[[str], None], *, cache: Path | None = None) -> BuiltProgram:
    """Return the AWS secrets engine as a Vault plugin; the server registers it by `sha256`.

    Raises:
        RehearsalError: as `ensure_engine`.

    """
    cache = cache or find_cache()
    path, digest = ensure_go_program(AWS_SECRETS_ENGINE, cache / "vault-plugin-aws", cache, report)
    return BuiltProgram(path, AWS_SECRETS_ENGINE.version, digest)


def ensure_aws_login(report: Callable[[str], None], *, cache: Path | None = None) -> BuiltProgram:
    """Return Vault's login by AWS principals as a plugin; OpenBao has none of its own.

    Raises:
        RehearsalError: as `ensure_engine`.

    """
    cache = cache or find_cache()
    path, digest = ensure_go_program(AWS_LOGIN, cache / "vault-plugin-auth-aws", cache, report)
    return BuiltProgram(path, AWS_LOGIN.version, digest)


def find_engine(cache: Path) -> BuiltProgram | None:
    """Return the `pulumi` on PATH, if it is supported and not one that the rehearsal itself put there."""
    found = shutil.which("pulumi")
    if found is None or Path(found).resolve().is_relative_to(cache.resolve()):
        return None
    version = engine_version(Path(found))
    if version is None or not OLDEST_ENGINE <= version < NEXT_MAJOR_ENGINE:
        return None
    path = Path(found).resolve()
    return BuiltProgram(path, ".".join(map(str, version)), file_sha256(path))


def engine_version(pulumi: Path) -> tuple[int, int, int] | None:
    """Return the version that a `pulumi` says it has; None where it says no released one."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"}
        environment.pop("PULUMI_OPTION_CWD", None)  # of a rehearsal that may be gone
        try:
            said = subprocess.run(
                [pulumi, "version"], env=environment, capture_output=True, text=True, timeout=LOOK_SECONDS, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            return None
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)", said.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None
