"""The table of checks, and one examination by it: every check runs, whatever another one found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import requests
from botocore.exceptions import BotoCoreError, ClientError

from narrowgate.errors import NarrowgateError
from narrowgate.operations.doctor import aws_checks, identity_checks, vault_checks
from narrowgate.operations.doctor.patient import Check, Finding, Health, Patient, SickError, SkippedError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS: Final = (
    Check("vault-server", "does Vault answer, unsealed?", vault_checks.check_server),
    Check("vault-clock", "is Vault's clock ours?", vault_checks.check_clock),
    Check("vault-audit", "is every request of Vault's logged?", vault_checks.check_audit),
    Check("vault-control-groups", "does Vault hold gated requests back?", vault_checks.check_control_groups),
    Check("vault-mounts", "is each secrets engine there, and its plugin?", vault_checks.check_mounts),
    Check("vault-aws-engine", "does Vault name AWS sessions?", vault_checks.check_aws_engine),
    Check("vault-databases", "does Vault know each database?", vault_checks.check_databases),
    Check("vault-signing", "are tokens signed in the right name?", vault_checks.check_signing),
    Check("vault-revocations", "can be read what is revoked?", vault_checks.check_revocations),
    Check("identity-keys", "are the identity provider's keys there?", identity_checks.check_keys),
    Check("identity-claims", "do its tokens say user, agent and groups?", identity_checks.check_claims),
    Check("system-policies", "may system identities do in Vault what they must?", identity_checks.check_policies),
    Check("system-logins", "who can log in as a system identity?", identity_checks.check_logins),
    Check("aws-account", "are the AWS credentials of this account?", aws_checks.check_account),
    Check("aws-clock", "is AWS's clock ours?", aws_checks.check_clock),
    Check("aws-boundary", "is the permissions boundary the compiled one?", aws_checks.check_boundary),
    Check("aws-identities", "may broker, CI and operator do in AWS what they must?", aws_checks.check_identities),
)


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield each check's finding, in the table's order."""
    for check in CHECKS:
        yield run_check(check, patient)


def run_check(check: Check, patient: Patient) -> Finding:
    """Return one check's finding; what could not be asked is unknown, never fine."""
    try:
        return Finding(check.name, Health.OK, check.run(patient))
    except SkippedError as error:
        return Finding(check.name, Health.SKIPPED, str(error))
    except SickError as error:
        return Finding(check.name, Health.WRONG, str(error), error.hint or "")
    except NarrowgateError as error:
        return Finding(check.name, Health.UNKNOWN, str(error), error.hint or "")
    except (ClientError, BotoCoreError, requests.RequestException) as error:
        return Finding(check.name, Health.UNKNOWN, " ".join(str(error).split()), "Check credentials and network.")
