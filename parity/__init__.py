"""The equivalence harness: the same weights and inputs through PyTorch and Keras, everything observable compared.

Everything after the recording needs NumPy alone; TensorFlow and PyTorch are loaded by the recorders.
"""

from typing import Any

__all__ = ["assert_equivalent", "check", "translate", "translates"]

_HOMES = {
    "assert_equivalent": "parity.pair.equivalence",
    "check": "parity.pair.equivalence",
    "translate": "parity.translate.port",
    "translates": "parity.translate.rules.registry",
}


def __getattr__(name: str) -> Any:
    """Import the public doors when they are first used."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
