"""The table of all rules, in the order in which they report. A new rule needs a line here and a page in the docs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules import (
    access_within_lock,
    credential_time_capped,
    database_role_least,
    document_known,
    environment_no_crossing,
    iam_boundary_required,
    iam_no_access_key,
    iam_no_privilege_escalation,
    iam_no_user,
    iam_no_wildcard_action,
    iam_no_wildcard_resource,
    iam_role_no_admin,
    iam_trust_narrow,
    system_identity_fixed,
    trail_alarms,
    trail_all_regions,
    trail_bucket_logged,
    trail_bucket_private,
    trail_data_events,
    trail_encrypted,
    trail_required,
    trail_validated,
    vault_audit_required,
    vault_gated_needs_control_group,
    vault_group_no_policies,
    vault_login_short_lived,
    vault_policy_no_root_paths,
    vault_policy_no_sudo,
    vault_policy_own_paths,
    vault_role_dynamic_only,
    workflow_no_shared_identity,
    workflow_owner_required,
)

if TYPE_CHECKING:
    from narrowgate.rules.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    document_known.RULE,
    access_within_lock.RULE,
    # admin and escalation
    iam_role_no_admin.RULE,
    iam_no_privilege_escalation.RULE,
    iam_no_wildcard_action.RULE,
    iam_no_wildcard_resource.RULE,
    iam_trust_narrow.RULE,
    iam_boundary_required.RULE,
    iam_no_user.RULE,
    iam_no_access_key.RULE,
    # identity
    system_identity_fixed.RULE,
    workflow_no_shared_identity.RULE,
    workflow_owner_required.RULE,
    # Vault
    vault_policy_no_sudo.RULE,
    vault_policy_no_root_paths.RULE,
    vault_policy_own_paths.RULE,
    vault_group_no_policies.RULE,
    vault_gated_needs_control_group.RULE,
    vault_login_short_lived.RULE,
    vault_role_dynamic_only.RULE,
    vault_audit_required.RULE,
    # the audit trail
    trail_required.RULE,
    trail_all_regions.RULE,
    trail_validated.RULE,
    trail_encrypted.RULE,
    trail_bucket_private.RULE,
    trail_bucket_logged.RULE,
    trail_data_events.RULE,
    trail_alarms.RULE,
    # time, environment, data
    credential_time_capped.RULE,
    environment_no_crossing.RULE,
    database_role_least.RULE,
)

BY_NAME: Final = {rule.name: rule for rule in RULES}
