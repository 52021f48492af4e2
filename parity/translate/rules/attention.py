"""Attention."""

import math
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.builder import optional
from parity.translate.capture import Untranslatable
from parity.translate.program import View
from parity.translate.rules.registry import function, module
from parity.translate.rules.weights import frozen

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

HEADS_LAST = (0, 2, 1, 3)  # (N, L, heads, dim), as a reshape of (N, L, heads·dim) gives it


@function("scaled_dot_product_attention")
def attention(
    builder: "Builder", query: "Operand", key: "Operand", value: "Operand", attn_mask: "Operand | None" = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> View:  # fmt: skip
    """Write softmax(q·kᵀ·scale + mask)·v by einsums, with the heads where they are."""
    if query.rank != 4 or enable_gqa:
        raise Untranslatable("scaled_dot_product_attention of other than four axes, or with grouped queries")
    given = [builder.view(x) for x in (query, key, value)]
    order = HEADS_LAST if any(view.layout == HEADS_LAST for view in given) else layout.natural(4)
    views: list[View] = [builder.to(view, order) for view in given]
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    arguments: dict[str, Any] = {
        "scale": scale,
        "causal": optional(is_causal, False),
        "heads_first": optional(order != HEADS_LAST, False),
    }
    if attn_mask is not None:
        views.append(builder.natural(attn_mask))
    return builder.layer("Attention", views, arguments, layout=order, path="")


@module("MultiheadAttention")
def multihead_attention(
    builder: "Builder", heads: Any, query: "Operand", key: "Operand", value: "Operand", key_padding_mask: Any = None,
    need_weights: bool = True, attn_mask: "Operand | None" = None, average_attn_weights: bool = True,
    is_causal: bool = False,
) -> list[View]:  # fmt: skip
    """Write PyTorch's multi-head attention."""
    if key_padding_mask is not None or heads.bias_k is not None or heads.add_zero_attn:
        raise Untranslatable("a MultiheadAttention with key_padding_mask, bias_k or zero_attn has no translation")
    if len(builder.call.outputs) > 1 and builder.is_used(builder.call.outputs[1]):
        raise Untranslatable("the weights of a MultiheadAttention have no translation; use need_weights=False")
    order = (0, 1, 2) if heads.batch_first else (1, 0, 2)
    views = [builder.to(x, order) for x in (query, key, value)]
    arguments = {
        "embed_dim": heads.embed_dim,
        "num_heads": heads.num_heads,
        "dropout": optional(heads.dropout, 0.0),
        "bias": optional(heads.in_proj_bias is not None, True),
        **frozen(heads),
    }
    if attn_mask is not None:
        views.append(builder.natural(attn_mask))
    out = builder.call.outputs[0]
    return [builder.layer("MultiheadAttention", views, arguments, layout=order, out=out)]


