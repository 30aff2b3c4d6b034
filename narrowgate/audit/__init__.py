"""What did this agent do, for whom, with whose approval? The ledger (its one writer), trace, unused, drift, review.

The ledger is the client's own testimony; Vault's audit log and CloudTrail are the witnesses that `trace` holds it
against. This room must not grant, change or revoke any access.
"""
