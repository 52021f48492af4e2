"""The equivalence harness: the same weights and inputs through PyTorch and Keras, everything observable compared.

Everything after the recording needs NumPy alone; TensorFlow and PyTorch are loaded by the recorders.
"""

from typing import Any

# The public names, and the modules that they are imported from when they are first used.
_HOMES = {
    "assert_equivalent": "parity.pair.equivalence",
    "check": "parity.pair.equivalence",
    "transfer": "parity.pair.transfer",
}
__all__ = ["assert_equivalent", "check", "transfer"]


def __getattr__(name: str) -> Any:
    """Import the public door when it is first used."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
