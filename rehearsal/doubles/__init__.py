"""Doubles of the Pulumi AWS and Vault providers, over boto3 and hvac.

The real providers can't be had from a package registry. A double serves the same protocol to the real engine and the
real `pulumi_aws` and `pulumi_vault` classes, for the resource types that Narrowgate uses. What runs here proves our
program, components, policies and documents; it does not prove how the real providers behave.
"""
