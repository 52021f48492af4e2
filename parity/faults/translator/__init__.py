"""Mistakes planted in the translator's rules: right networks, and one rule at a time made wrong."""
