"""Narrowgate gives each AI agent exactly the credentials that its workflow declares, and no others."""
