"""The tables of cases: rows only, a file for each kind."""
