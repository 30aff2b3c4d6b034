"""What each program of `bad/` is refused for. Not a test module: what the tests of pack and program share."""

from __future__ import annotations

# program: (rule, the resource that is named, a part of the reason)
REFUSED = {
    "role_allows_everything": ("iam-role-no-admin", "demo-everything", "may do everything"),
    "role_hides_admin_behind_a_question_mark": ("iam-role-no-admin", "demo-disguised", "iam:PutRole"),
    "role_allows_all_but_some": ("iam-role-no-admin", "demo-notaction", "may do everything"),
    "role_has_administrator_access": ("iam-role-no-admin", "demo-attachment", "AdministratorAccess"),
    "role_admin_by_attached_policy": ("iam-role-no-admin", "demo-attached", "iam:AttachRolePolicy"),
    "two_workflows_one_iam_role": ("workflow-no-shared-identity", "vault-onboarding.documents", "ng-dev-summaries"),
    "two_workflows_one_vault_role": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.documents",
        "narrowgate-aws/sts/summaries.documents",
    ),
    "two_workflows_by_a_wildcard_path": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.documents",
        "narrowgate-aws/sts/summaries.documents",
    ),
    "two_workflows_one_secret": (
        "workflow-no-shared-identity",
        "policy-tool.onboarding.rates",
        "narrowgate-kv/data/rates/api-key",
    ),
    "two_workflows_one_certificate": (
        "workflow-no-shared-identity",
        "vault-onboarding.ledger",
        "spiffe://dev.acme.example/dev/summaries/ledger",
    ),
    "certificate_of_any_name": (
        "workflow-no-shared-identity",
        "vault-summaries.ledger",
        "choose the certificate's name",
    ),
    "two_workflows_one_token": (
        "workflow-no-shared-identity",
        "vault-onboarding.payments",
        "summaries.payments at https://payments.dev.example.com",
    ),
    "two_logins_one_agent": ("workflow-no-shared-identity", "onboarding-login", "agent:summaries"),
    "login_without_bound_claims": ("workflow-no-shared-identity", "onboarding-login", "names no agent"),
    "login_with_a_wildcard_claim": ("workflow-no-shared-identity", "onboarding-login", "/act/sub=agent:*"),
    "resource_names_another_environment": (
        "environment-no-crossing",
        "demo-address",
        "the Vault https://vault.prod.example.com:8200 is prod's",
    ),
    "role_reaches_another_environments_bucket": (
        "environment-no-crossing",
        "demo-crossing",
        "reaches the bucket acme-prod-documents, which is prod's",
    ),
    "group_with_policies": ("workflow-no-shared-identity", "demo-group", "tool.summaries.documents"),
    "lock_role_beside_ours": ("access-within-lock", "demo-extra", "the lock has no IAM role ng-dev-demo-extra"),
    "lock_wider_inline_policy": ("access-within-lock", "demo-wider", "payroll"),
    "lock_extra_vault_policy": (
        "access-within-lock",
        "policy-tool.summaries.extra",
        "the lock has no Vault policy tool.summaries.extra",
    ),
    "lock_wider_vault_policy": ("access-within-lock", "policy-tool.summaries.tickets", "what the lock does not"),
    "lock_extra_login": ("access-within-lock", "demo-login", "the lock has no login auth/agents/summaries/role/second"),
    "lock_other_cluster": ("access-within-lock", "demo-settings", "kubernetes_host"),
    "lock_other_issuer": ("access-within-lock", "demo-mount", "bound_issuer, jwks_url"),
    "lock_extra_database_role": (
        "access-within-lock",
        "demo-database",
        "the lock has no credentials at narrowgate-database/creds/summaries.payroll",
    ),
    "lock_other_table": ("access-within-lock", "demo-group", "SELECT on public.salaries"),
    "trail_in_one_region": ("trail-all-regions", "demo-trail", "logs one region only"),
    "unknown_policy_document": ("document-known", "demo-document", "is not known"),
}

# What is missing is known only when the whole stack is, so the pack alone refuses these.
REFUSED_AS_A_WHOLE = {
    "foundation_without_a_trail": ("trail-required", "demo-foundation", "this foundation has no audit trail"),
}
