"""What Vault and OpenBao policies allow, decided offline as the server decides.

`parse` reads a policy, `evaluate` decides one request, `compare` proves that policies grant nothing that others do
not, `find_request` answers whether anything that a pattern covers can be used, `effective` lists the merged rules.
Must not talk to a server.
"""

from __future__ import annotations

from narrowgate.access.vault.acl import AccessList, MergedRule
from narrowgate.access.vault.comparison import Comparison, compare
from narrowgate.access.vault.decision import Decision, Reason, access_list, capabilities, decide, evaluate
from narrowgate.access.vault.errors import VaultPolicyError, VaultPolicySyntaxError, VaultRequestError
from narrowgate.access.vault.parsing import parse
from narrowgate.access.vault.policy import ControlGroup, Factor, Permissions, Policy, Rule, Server
from narrowgate.access.vault.search import Search, effective, find_request
from narrowgate.access.vault.witness import Witness

__all__ = [
    "AccessList",
    "Comparison",
    "ControlGroup",
    "Decision",
    "Factor",
    "MergedRule",
    "Permissions",
    "Policy",
    "Reason",
    "Rule",
    "Search",
    "Server",
    "VaultPolicyError",
    "VaultPolicySyntaxError",
    "VaultRequestError",
    "Witness",
    "access_list",
    "capabilities",
    "compare",
    "decide",
    "effective",
    "evaluate",
    "find_request",
    "parse",
]
