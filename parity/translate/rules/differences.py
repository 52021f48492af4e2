"""Losses of two tensors, which some models compute in forward."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from parity.translate.capture import Untranslatable
from parity.translate.program import View
from parity.translate.registry import function
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.reduction import reduce

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

TEXTS = {"mse_loss": "ops.square({0} - {1})", "l1_loss": "ops.abs({0} - {1})"}


def _loss(name: str) -> Callable[..., View]:
    # PyTorch names size_average and reduce by what reduction says.
    def rule(
        builder: "Builder", x: "Operand", target: "Operand", *_: Any, reduction: str = "mean", weight: Any = None,
        **__: Any,
    ) -> View:  # fmt: skip
        if weight is not None or tuple(x.shape) != tuple(target.shape):
            raise Untranslatable(f"{name} with weights, or of two shapes, has no translation")
        found = combine(builder, TEXTS[name], x, target, out=x)
        return found if reduction == "none" else reduce(builder, reduction, found, None, False)

    return rule


for _name in TEXTS:
    function(_name)(_loss(_name))
