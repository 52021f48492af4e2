"""PyTorch module → readable Keras source, and the proof that the two do the same."""

from parity.translate.port import Port, translate
from parity.translate.rules.registry import translates

__all__ = ["Port", "translate", "translates"]
