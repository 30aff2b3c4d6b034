## agent.incident-summarization
# incident-summarization: what every agent login may do

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
path "narrowgate-drafts/data/incident-summarization/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# anchor them where they cannot be rewritten
path "narrowgate-ledger/data/incident-summarization/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# learn what came of them
path "narrowgate-records/data/_answers/incident-summarization/{{identity.entity.id}}/+" {
  capabilities = ["read"]
}

# sign checkpoints of the ledger
path "narrowgate-transit/sign/incident-summarization" {
  capabilities = ["update"]
}

## tool.incident-summarization.documents
# incident-summarization: the tool documents

# credentials for: read
path "narrowgate-aws/sts/incident-summarization.documents" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.incident-summarization.incidents
# incident-summarization: the tool incidents

# credentials for: read
path "narrowgate-database/creds/incident-summarization.incidents" {
  capabilities = ["read"]
}

## tool.incident-summarization.logs
# incident-summarization: the tool logs

# credentials for: search
path "narrowgate-aws/sts/incident-summarization.logs" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}
