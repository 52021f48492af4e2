"""How a call of parity/cases/ops.py is spelled, the same for both frameworks."""


def positional(taken: dict, options: dict) -> list:
    """Return the arguments of a call that have no keyword."""
    return [tensor for name, tensor in taken.items() if "=" not in name] + list(options.get("", ()))


def named(taken: dict, options: dict) -> dict:
    """Return the arguments of a call by keyword."""
    by_keyword = {name.split("=")[0]: tensor for name, tensor in taken.items() if "=" in name}
    return by_keyword | {name: value for name, value in options.items() if name}
