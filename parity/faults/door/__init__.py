"""Mistakes planted in what a user hands to `parity.check`: right pairs, and one thing at a time made wrong."""
