## agent.operations
# operations: what every agent login may do

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
path "narrowgate-ledger/data/operations/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# sign checkpoints of the ledger
path "narrowgate-transit/sign/operations" {
  capabilities = ["update"]
}

## tool.operations.crm
# operations: the tool crm

# credentials for: note, read
path "identity/oidc/token/operations.crm" {
  capabilities = ["read"]
}

## tool.operations.customers
# operations: the tool customers

# credentials for: read
path "narrowgate-aws/sts/operations.customers" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.events
# operations: the tool events

# credentials for: put
path "narrowgate-aws/sts/operations.events" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.functions
# operations: the tool functions

# credentials for: invoke
path "narrowgate-aws/sts/operations.functions" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.ledger
# operations: the tool ledger

# credentials for: read
path "narrowgate-pki/issue/operations.ledger" {
  capabilities = ["update"]
  allowed_parameters = {
    "ttl" = []
    "uri_sans" = ["spiffe://test.acme.example/test/operations/ledger"]
  }
  required_parameters = ["uri_sans"]
}

## tool.operations.mail
# operations: the tool mail

# credentials for: notify
path "narrowgate-aws/sts/operations.mail" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.models
# operations: the tool models

# credentials for: invoke
path "narrowgate-aws/sts/operations.models" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.pager
# operations: the tool pager

# credentials for: page
path "narrowgate-kv/data/pager/keys/sre" {
  capabilities = ["read"]
}

## tool.operations.queues
# operations: the tool queues

# credentials for: send
path "narrowgate-aws/sts/operations.queues" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}

## tool.operations.secrets
# operations: the tool secrets

# credentials for: read
path "narrowgate-aws/sts/operations.secrets" {
  capabilities = ["read"]
  allowed_parameters = {
    "ttl" = []
  }
}
