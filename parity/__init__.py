"""The equivalence harness: the same weights and inputs through PyTorch and Keras, everything observable compared.

Everything after the recording needs NumPy alone; TensorFlow and PyTorch are loaded by the recorders.
"""

from typing import Any

from keras_blitz import __version__

# The public names, and the modules that they are imported from when they are first used.
_HOMES = {
    "assert_equivalent": "parity.pair.equivalence",
    "check": "parity.pair.equivalence",
    "check_export": "parity.exported.check",
    "transfer": "parity.pair.transfer",
    "translates": "parity.translate.registry",
}
__all__ = ["__version__", "assert_equivalent", "check", "check_export", "transfer", "translate", "translates"]


def __getattr__(name: str) -> Any:
    """Import the public functions when they are first used."""
    if name == "translate":
        from importlib import import_module

        return import_module("parity.translate")  # a package that can be called
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
