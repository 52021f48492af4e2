"""Losses that some models compute in forward."""

from collections.abc import Callable
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F

from keras_blitz import losses
from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.leaves import array_of
from parity.translate.program import Literal, View, optional
from parity.translate.registry import function
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.reduction import reduce
from parity.translate.rules.scattering import each_example

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

# Function -> the loss of `keras_blitz.losses`, and PyTorch's names of its tensors: predictions, then the target.
ELEMENTS = {
    "smooth_l1_loss": ("SmoothL1Loss", ("input", "target")),
    "huber_loss": ("HuberLoss", ("input", "target")),
    "kl_div": ("KLDivLoss", ("input", "target")),
    "poisson_nll_loss": ("PoissonNLLLoss", ("input", "target")),
    "soft_margin_loss": ("SoftMarginLoss", ("input", "target")),
    "hinge_embedding_loss": ("HingeEmbeddingLoss", ("input", "target")),
    "binary_cross_entropy": ("BCELoss", ("input", "target")),
    "binary_cross_entropy_with_logits": ("BCEWithLogitsLoss", ("input", "target")),
    "gaussian_nll_loss": ("GaussianNLLLoss", ("input", "var", "target")),
    "margin_ranking_loss": ("MarginRankingLoss", ("input1", "input2", "target")),
}
CLASSES = {"cross_entropy": ("CrossEntropyLoss", ("input", "target")), "nll_loss": ("NLLLoss", ("input", "target"))}
ROWS = {
    "multi_margin_loss": ("MultiMarginLoss", ("input", "target")),
    "multilabel_margin_loss": ("MultiLabelMarginLoss", ("input", "target")),
    "multilabel_soft_margin_loss": ("MultiLabelSoftMarginLoss", ("input", "target")),
    "cosine_embedding_loss": ("CosineEmbeddingLoss", ("input1", "input2", "target")),
    "triplet_margin_loss": ("TripletMarginLoss", ("anchor", "positive", "negative")),
}


def _criterion(name: str, loss: str, tensors: tuple[str, ...]) -> Callable[..., View]:
    def rule(builder: "Builder", *args: Any, **kwargs: Any) -> View:
        given = signature(getattr(F, name)).bind(*args, **kwargs).arguments
        operands = [given.pop(each) for each in tensors]
        if not all(isinstance(each, (Value, View)) for each in operands):
            raise Untranslatable(f"{name} with a number in place of a tensor has no translation")
        arguments = {"loss": loss, **_options(name, loss, given)}
        if name in ELEMENTS and len({tuple(each.shape) for each in operands}) > 1:
            raise Untranslatable(f"{name} of tensors of two shapes has no translation")
        views = _aligned(builder, name, operands, has_weight=bool({"weight", "pos_weight"} & arguments.keys()))
        rank = builder.out.rank
        order = views[0].layout if name in ELEMENTS and rank else layout.natural(rank)
        return builder.layer("Criterion", views, arguments, layout=order, path="")

    return rule


def _options(name: str, loss: str, given: dict[str, Any]) -> dict[str, Literal]:
    """Return what is handed to the loss's constructor.

    Raises:
        Untranslatable: the loss has no such argument, or a weight follows the inputs.
    """
    known = signature(getattr(losses, loss)).parameters
    found = {}
    for key, value in given.items():
        default = known[key].default if key in known else signature(getattr(F, name)).parameters[key].default
        if isinstance(value, Value) and value.kind == "constant" and not any(value.batched):
            value = tuple(array_of(value).tolist()) if value.rank == 1 else array_of(value).tolist()
        if value is None or value == default:
            continue
        if key not in known or isinstance(value, (Value, View)):
            raise Untranslatable(f"{name} with {key} has no translation")
        found[key] = Literal(value) if default in (None, Parameter.empty) else optional(value, default)
    return found


def _aligned(builder: "Builder", name: str, operands: "list[Operand]", has_weight: bool) -> list[View]:
    """Return a loss's tensors: classes last, rows in PyTorch's order, elements in the layout of the first tensor."""
    if name in CLASSES:
        scores, target = operands
        last = builder.channels_last(scores)
        return [last, builder.channels_last(target) if target.rank == scores.rank else builder.natural(target)]
    first = next((each for each in operands if not (isinstance(each, Value) and each.is_leaf)), operands[0])
    like = builder.view(first)
    order = like.layout if name in ELEMENTS and like.layout[:1] == (0,) and not has_weight else None
    repeated = [each_example(builder, each, like if any(like.batched) else None) for each in operands]
    return [builder.to(each, order) if order else builder.natural(each) for each in repeated]


for _name, (_title, _tensors) in {**ELEMENTS, **CLASSES, **ROWS}.items():
    function(_name)(_criterion(_name, _title, _tensors))
