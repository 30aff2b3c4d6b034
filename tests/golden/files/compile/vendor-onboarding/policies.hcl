## agent.vendor-onboarding
# vendor-onboarding: what every agent login may do

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

# draft high-impact actions, for people to approve
path "narrowgate-drafts/data/vendor-onboarding/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# anchor them where they cannot be rewritten
path "narrowgate-ledger/data/vendor-onboarding/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# learn what came of them
path "narrowgate-records/data/_answers/vendor-onboarding/{{identity.entity.id}}/+" {
  capabilities = ["read"]
}

# sign checkpoints of the ledger
path "narrowgate-transit/sign/vendor-onboarding" {
  capabilities = ["update"]
}

## tool.vendor-onboarding.documents
# vendor-onboarding: the tool documents

# credentials for: read
path "narrowgate-aws/sts/vendor-onboarding.documents" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.vendor-onboarding.vendors
# vendor-onboarding: the tool vendors

# credentials for: read
path "narrowgate-database/creds/vendor-onboarding.vendors" {
  capabilities = ["read"]
}
