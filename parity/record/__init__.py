"""The recorders: the only files of parity that run a framework."""
