## agent.ticket-drafting
# ticket-drafting: what every agent login may do

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
path "narrowgate-ledger/data/ticket-drafting/{{identity.entity.id}}/+" {
  capabilities = ["create"]
}

# sign checkpoints of the ledger
path "narrowgate-transit/sign/ticket-drafting" {
  capabilities = ["update"]
}

## tool.ticket-drafting.incidents
# ticket-drafting: the tool incidents

# credentials for: read
path "narrowgate-database/creds/ticket-drafting.incidents" {
  capabilities = ["read"]
}

## tool.ticket-drafting.tickets
# ticket-drafting: the tool tickets

# credentials for: draft, read
path "narrowgate-database/creds/ticket-drafting.tickets" {
  capabilities = ["read"]
}
