"""Two tensors row by row: similarities, distances, bilinear forms."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.weights import frozen, own_path

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("CosineSimilarity")
def cosine_module(builder: "Builder", layer: Any, x1: "Operand", x2: "Operand") -> View:
    """Write a CosineSimilarity under the module's name."""
    return _cosine(builder, x1, x2, layer.dim, layer.eps, None)


@function("cosine_similarity")
def cosine(builder: "Builder", x1: "Operand", x2: "Operand", dim: int = 1, eps: float = 1e-8) -> View:
    """Write `F.cosine_similarity` as a layer without a name."""
    return _cosine(builder, x1, x2, dim, eps, "")


def _cosine(builder: "Builder", x1: "Operand", x2: "Operand", dim: int, eps: float, path: str | None) -> View:
    if x1.rank != x2.rank:
        raise Untranslatable("cosine_similarity of tensors of different rank has no translation")
    views = [builder.natural(x) for x in (x1, x2)]
    arguments = {"dim": optional(dim % x1.rank, 1), "eps": optional(eps, 1e-8)}
    return builder.layer("CosineSimilarity", views, arguments, layout=layout.natural(builder.out.rank), path=path)


@module("PairwiseDistance")
def distance_module(builder: "Builder", layer: Any, x1: "Operand", x2: "Operand") -> View:
    """Write a PairwiseDistance under the module's name."""
    return _distance(builder, x1, x2, layer.norm, layer.eps, layer.keepdim, None)


@function("pairwise_distance")
def distance(
    builder: "Builder", x1: "Operand", x2: "Operand", p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> View:
    """Write `F.pairwise_distance` as a layer without a name."""
    return _distance(builder, x1, x2, p, eps, keepdim, "")


def _distance(
    builder: "Builder", x1: "Operand", x2: "Operand", p: float, eps: float, keepdim: bool, path: str | None
) -> View:
    views = [builder.natural(x) for x in (x1, x2)]
    arguments = {"p": optional(float(p), 2.0), "eps": optional(eps, 1e-6), "keepdim": optional(keepdim, False)}
    return builder.layer("PairwiseDistance", views, arguments, layout=layout.natural(builder.out.rank), path=path)


@module("Bilinear")
def bilinear_module(builder: "Builder", layer: Any, x1: "Operand", x2: "Operand") -> View:
    """Write a Bilinear under the module's name."""
    views = [builder.natural(x) for x in (x1, x2)]
    arguments = {"out_features": layer.out_features, "bias": optional(layer.bias is not None, True), **frozen(layer)}
    return builder.layer("Bilinear", views, arguments, layout=layout.natural(builder.out.rank))


@function("bilinear")
def bilinear(
    builder: "Builder", x1: "Operand", x2: "Operand", weight: "Operand", bias: "Operand | None" = None
) -> View:
    """Write `F.bilinear`: of a Bilinear's own weights as that layer, of others as an einsum."""
    path = own_path(weight, bias) if isinstance(weight, Value) else None
    if path is not None and type(builder.module(path)).__name__ == "Bilinear":
        builder.call.path = path
        return bilinear_module(builder, builder.module(path), x1, x2)
    views = [builder.natural(x) for x in (x1, weight, x2)]
    text = 'ops.einsum("...i,kij,...j->...k", {0}, {1}, {2})'
    found = builder.op(text, views, layout=layout.natural(builder.out.rank))
    return found if bias is None else combine(builder, "{0} + {1}", found, bias)
