"""The double of the Pulumi Vault provider: policies, mounts, JWT logins, the AWS and database engines, over hvac."""
