"""The double of the Pulumi AWS provider: IAM over boto3, as far as agents' roles need it."""
