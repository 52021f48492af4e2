"""PyTorch module → readable Keras source, and the proof that the two do the same.

The package is callable, because `parity.translate(module, inputs)` and the folder have one name.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.translate.port import Port


class _Translate(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> "Port":
        """Translate a module; see `parity.translate.port.translate`."""
        from parity.pair.equivalence import require_torch

        require_torch("parity.translate")
        from parity.translate.port import translate

        return translate(*args, **kwargs)


sys.modules[__name__].__class__ = _Translate
