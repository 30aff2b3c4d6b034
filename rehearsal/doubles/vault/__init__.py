"""The double of the Pulumi Vault provider: policies, mounts, logins, secrets engines, over hvac."""
