"""The cases of the tables, run and judged."""
