"""Attention."""

import math
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.arithmetic import combine
from parity.translate.rules.matrix import product
from parity.translate.rules.repetition import repeat_heads
from parity.translate.rules.weights import frozen

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@function("scaled_dot_product_attention")
def attention(
    builder: "Builder", query: "Operand", key: "Operand", value: "Operand", attn_mask: "Operand | None" = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> View:  # fmt: skip
    """Write softmax(q·kᵀ·scale + mask)·v by einsums, with the heads where they are."""
    if enable_gqa:
        key, value = (repeat_heads(builder, each, query.shape[-3]) for each in (key, value))
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    lead, queries, keys = query.shape[:-2], query.shape[-2], key.shape[-2]
    batched = (*query.batched[:-1], False)
    scores = Value((*lead, queries, keys), query.dtype, batched=batched)
    turned = builder.turned(key, (*range(key.rank - 2), key.rank - 1, key.rank - 2))
    weights = product(builder, combine(builder, "{0} * {1}", query, scale, out=query), turned, scores)
    if is_causal:
        mask = builder.constant("ops.tril(ops.ones({shape}, 'bool'))", (queries, keys))
        weights = combine(builder, 'ops.where({1}, {0}, float("-inf"))', weights, mask, out=scores)
    elif attn_mask is not None:
        text = 'ops.where({1}, {0}, float("-inf"))' if attn_mask.dtype == "bool" else "{0} + {1}"
        weights = combine(builder, text, weights, attn_mask, out=scores)
    weights = builder.op("ops.softmax({0}, axis={axis})", [weights], out=scores, axis=weights.axis(-1))
    if dropout_p := builder.call.in_train.get("dropout_p", dropout_p):
        weights = builder.layer("Dropout", [weights], {"p": dropout_p}, out=scores, path="")
    return product(builder, weights, value, builder.out)


@module("MultiheadAttention")
def multihead_attention(
    builder: "Builder", heads: Any, query: "Operand", key: "Operand", value: "Operand", key_padding_mask: Any = None,
    need_weights: bool = True, attn_mask: "Operand | None" = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> list[View]:  # fmt: skip
    """Write PyTorch's multi-head attention; self-attention is called with one tensor."""
    order = (0, 1, 2) if heads.batch_first else (1, 0, 2)
    given = [query] if query is key is value else [query, key, value]
    views = [builder.to(x, order) for x in given]
    names = ["" for _ in views]
    for name, mask in (("key_padding_mask", key_padding_mask), ("attn_mask", attn_mask)):
        if mask is not None:
            views.append(builder.natural(mask))
            names.append(name)
    used = len(builder.call.outputs) > 1 and builder.is_used(builder.call.outputs[1])
    if used and not average_attn_weights:
        raise Untranslatable("the weights of each head of a MultiheadAttention have no translation")
    arguments = {
        "embed_dim": heads.embed_dim,
        "num_heads": heads.num_heads,
        "dropout": optional(heads.dropout, 0.0),
        "bias": optional(heads.in_proj_bias is not None, True),
        "add_bias_kv": optional(heads.bias_k is not None, False),
        "add_zero_attn": optional(heads.add_zero_attn, False),
        "kdim": optional(heads.kdim, heads.embed_dim),
        "vdim": optional(heads.vdim, heads.embed_dim),
        **frozen(heads),
    }
    layouts = [order, layout.natural(builder.call.outputs[1].rank if len(builder.call.outputs) > 1 else 3)]
    return builder.layer_of_several("MultiheadAttention", views, arguments, layouts, names)
