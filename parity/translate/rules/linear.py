"""Linear layers, embeddings and bags of them."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.arithmetic import add
from parity.translate.rules.matrix import matmul
from parity.translate.rules.weights import frozen

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("Linear", "NonDynamicallyQuantizableLinear")
def linear(builder: "Builder", dense: Any, x: "Operand") -> View:
    """Write a Dense layer; after a flatten its kernel has PyTorch's order, permuted when weights are transferred."""
    path = builder.call.path
    if builder.first_name(f"{path}.weight") != f"{path}.weight":
        return _tied(builder, dense, x)
    return _dense(builder, x, dense.out_features, dense.bias is not None, dense)


@function("linear")
def functional(builder: "Builder", x: "Operand", weight: Value, bias: Value | None = None) -> View:
    """Write `F.linear`: of a module's own weights its Dense layer, of others a product."""
    owner = builder.owner(weight, bias)
    if owner is not None and type(owner).__name__ == "Linear":
        builder.call.path = weight.name.rpartition(".")[0]
        return _dense(builder, x, weight.shape[0], bias is not None, owner)
    dense = builder.owner(weight)
    if bias is not None and type(dense).__name__ == "Linear":  # a bias that is put together
        if dense.bias is not None:
            builder.weights[weight.name] = weight.name.removesuffix(".weight") + "/kernel"
        return add(builder, functional(builder, x, weight), bias)
    kernel = builder.turned(builder.natural(weight), (1, 0))
    product = matmul(builder, x, kernel)
    return product if bias is None else add(builder, product, bias)


def _dense(builder: "Builder", x: "Operand", units: int, bias: bool, owner: Any) -> View:
    found = builder.any(x)
    found = found if found.flat and found.rank == 2 else builder.last(found)
    if found.rank > 3:  # parity.check compares what the layer returns, and a map of rows and columns may be square
        found = builder.natural(found)
    arguments = {"units": units, "use_bias": optional(bias, True), **frozen(owner)}
    return builder.layer("layers.Dense", [found], arguments)


def _tied(builder: "Builder", dense: Any, x: "Operand") -> View:
    """Write a Linear whose weight is that of an Embedding: Keras's layer for both, called the other way round."""
    path = builder.call.path
    owner = builder.first_name(f"{path}.weight").rpartition(".")[0]
    if owner not in builder.shared or dense.bias is not None:
        raise Untranslatable(f"{path}.weight is tied to {owner}.weight, which has a translation for an Embedding alone")
    return builder.call_again(owner, [builder.last(x)], "reverse=True")


@module("Embedding")
def embedding(builder: "Builder", table: Any, x: "Operand") -> View:
    """Write an Embedding layer."""
    if table.max_norm is not None or table.scale_grad_by_freq:
        raise Untranslatable("an Embedding with max_norm or scale_grad_by_freq has no translation")
    found = builder.leaves.held(x) if isinstance(x, Value) and x.kind == "constant" else builder.natural(x)
    order = layout.natural(builder.out.rank)
    sizes = table.num_embeddings, table.embedding_dim
    if table.padding_idx is not None:
        arguments = {
            "num_embeddings": sizes[0],
            "embedding_dim": sizes[1],
            "padding_idx": optional(table.padding_idx, "none"),
            **frozen(table),
        }
        return builder.layer("Embedding", [found], arguments, layout=order)
    name = "layers.ReversibleEmbedding" if builder.is_tied(builder.call.path) else "layers.Embedding"
    return builder.layer(name, [found], {"input_dim": sizes[0], "output_dim": sizes[1], **frozen(table)}, layout=order)


@function("embedding")
def functional_embedding(builder: "Builder", ids: "Operand", weight: Value, *_: Any, **__: Any) -> View:
    """Write `F.embedding` of a module's own table as that module's layer, of another as a look-up."""
    if builder.call.path:
        return embedding(builder, builder.module(builder.call.path), ids)
    order = layout.natural(builder.out.rank)
    return builder.op("ops.take({0}, {1}, axis=0)", [builder.natural(weight), builder.natural(ids)], layout=order)


@module("EmbeddingBag")
def embedding_bag(
    builder: "Builder", table: Any, x: "Operand", offsets: "Operand | None" = None,
    per_sample_weights: "Operand | None" = None,
) -> View:  # fmt: skip
    """Write an EmbeddingBag."""
    if table.max_norm is not None:
        raise Untranslatable("an EmbeddingBag with max_norm changes its table in forward, and has no translation")
    arguments = {
        "num_embeddings": table.num_embeddings,
        "embedding_dim": table.embedding_dim,
        "scale_grad_by_freq": optional(table.scale_grad_by_freq, False),
        "mode": optional(table.mode, "mean"),
        "include_last_offset": optional(table.include_last_offset, False),
        "padding_idx": optional(table.padding_idx, "none"),
        **frozen(table),
    }
    if table.padding_idx is None:
        del arguments["padding_idx"]
    more = {"offsets": offsets, "per_sample_weights": per_sample_weights}
    given = {"": x, **{name: each for name, each in more.items() if each is not None}}
    views = [builder.natural(each) for each in given.values()]
    return builder.layer_of_several("EmbeddingBag", views, arguments, [layout.natural(2)], list(given))[0]
