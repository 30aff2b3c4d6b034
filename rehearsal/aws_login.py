"""Lets a rehearsal's Vault take logins of AWS principals: puts the plugin in place and registers it.

OpenBao has no such login of its own. No committed workflow needs it, so a rehearsal starts without; who declares
`identity: aws` registers it first, as an operator of OpenBao would.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rehearsal.state import make_folder

if TYPE_CHECKING:
    from pathlib import Path

    import hvac

    from rehearsal.engine import BuiltProgram

PLUGIN = "vault-plugin-auth-aws"
TYPE = "aws"


def register_aws_login(plugins: Path, client: hvac.Client, plugin: BuiltProgram) -> None:
    """Register `plugin` with the Vault of `client`, whose plugin folder is `plugins`; repeating it changes nothing."""
    target = make_folder(plugins) / PLUGIN
    staged = target.with_suffix(".new")
    shutil.copyfile(plugin.path, staged)
    staged.chmod(0o700)
    staged.replace(target)
    client.write_data(f"sys/plugins/catalog/auth/{TYPE}", data={"sha256": plugin.sha256, "command": PLUGIN})
