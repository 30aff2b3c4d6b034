"""For those who test agents: enforce a workflow's manifest without Vault, AWS or a database.

The agent's own code runs against `narrowgate.runtime` as it is; only the wire to Vault is replaced. So what is not
declared, gated, over, revoked or refused raises the same errors as in the real environment. In a `conftest.py`:

    pytest_plugins = ["narrowgate.testing.plugin"]

This room must not be imported by any other: an agent never needs it.
"""

from narrowgate.testing.fake_vault import FakeVault, UnansweredCallError

__all__ = ["FakeVault", "UnansweredCallError"]
