## agent.nightly-report
# nightly-report: what every agent login may do

# see how long the login lasts
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

# renew the login up to its maximum
path "auth/token/renew-self" {
  capabilities = ["update"]
}

# log out, which ends all credentials of this login
path "auth/token/revoke-self" {
  capabilities = ["update"]
}

# anchor them where they cannot be rewritten
path "narrowgate-ledger/data/nightly-report/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# sign checkpoints of the ledger
path "narrowgate-transit/sign/nightly-report" {
  capabilities = ["update"]
}

## tool.nightly-report.crm
# nightly-report: the tool crm

# credentials for: read
path "identity/oidc/token/nightly-report.crm" {
  capabilities = ["read"]
}

## tool.nightly-report.functions
# nightly-report: the tool functions

# credentials for: invoke
path "narrowgate-aws/sts/nightly-report.functions" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}
