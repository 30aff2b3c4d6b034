"""The whole of Narrowgate on one machine: real engine, real Vault, real PostgreSQL, an emulated AWS.

For development and proof only: it is never part of the wheel, and nothing in the product may import it.
"""
