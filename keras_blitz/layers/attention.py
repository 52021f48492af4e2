"""`torch.nn.functional.scaled_dot_product_attention` and `torch.nn.MultiheadAttention`."""

from math import sqrt
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers.dropout import Dropout


def scaled_dot_product_attention(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> tf.Tensor:
    """Return softmax(query·keyᵀ·scale + mask)·value.

    `keras.ops.dot_product_attention` takes 1/√d through float32, which in float64 is exact only where d is a power of 4
    (gap mha-map: 4e-8), and has the heads on another axis.

    Args:
        query: (N, …, L, E).
        key: (N, …, S, E).
        value: (N, …, S, V).
        attn_mask: broadcast to (N, …, L, S): True where a key takes part, or numbers that are added to the scores.
        dropout_p: probability, 0–1, of dropping a weight, whatever the mode: give 0 in eval mode, as in PyTorch.
        is_causal: key j takes part in query i where j ≤ i; not together with `attn_mask`.
        scale: of the scores; None: 1/√E.
        enable_gqa: key and value have fewer heads, on axis −3, each for as many of the query's in a row.

    Returns:
        (N, …, L, V). A query whose keys are all masked gives zeros.

    Raises:
        ValueError: `is_causal` together with `attn_mask`.

    Source: torch/nn/functional.py, ATen's attention.cpp.
    """
    if is_causal and attn_mask is not None:
        raise ValueError("is_causal and attn_mask cannot both be given")
    if enable_gqa:
        key, value = (tf.repeat(each, query.shape[-3] // each.shape[-3], axis=-3) for each in (key, value))
    factor = tf.constant(1 / sqrt(query.shape[-1]) if scale is None else scale, query.dtype)
    scores = tf.matmul(query * factor, key, transpose_b=True)
    mask = causal_mask(scores) if is_causal else attn_mask
    weights = masked_softmax(scores, mask, empty=0.0)
    if dropout_p:
        weights = tf.nn.experimental.general_dropout(
            weights, dropout_p, uniform_sampler=lambda shape, dtype: tf.random.uniform(shape, dtype=dtype)
        )
    return tf.matmul(weights, value)


def causal_mask(scores: tf.Tensor) -> tf.Tensor:
    """Return (L, S): True where key j ≤ query i."""
    queries, keys = tf.shape(scores)[-2], tf.shape(scores)[-1]
    return tf.range(keys) <= tf.range(queries)[:, tf.newaxis]


def masked_softmax(scores: tf.Tensor, mask: Any, empty: float | None = None) -> tf.Tensor:
    """Return the softmax of scores over the last axis, where a mask lets them.

    Args:
        scores: (…, L, S).
        mask: True where a key takes part, or numbers that are added; None: all do.
        empty: what a query without any key gives; None: NaN, as a softmax of −∞ alone does.
    """
    if mask is None:
        return tf.nn.softmax(scores)
    mask = tf.convert_to_tensor(mask)
    if mask.dtype == tf.bool:
        mask = tf.where(mask, tf.zeros((), scores.dtype), tf.constant(float("-inf"), scores.dtype))
    scores += tf.cast(mask, scores.dtype)
    if empty is None:
        return tf.nn.softmax(scores)
    # Where all are −∞ the softmax is taken of zeros, so that no gradient is NaN.
    none = tf.reduce_all(tf.equal(scores, float("-inf")), -1, keepdims=True)
    weights = tf.nn.softmax(tf.where(none, tf.zeros_like(scores), scores))
    return tf.where(none, tf.constant(empty, scores.dtype), weights)


@keras.saving.register_keras_serializable("keras_blitz")
class MultiheadAttention(keras.layers.Layer):
    """Attention in several heads, with PyTorch's weights.

    head h = softmax(q_h·k_hᵀ/√d)·v_h, d = embed_dim/num_heads; the output projects all heads side by side

    `keras.layers.MultiHeadAttention` takes query, value, key in this order (gap mha-argument-order), keeps three
    kernels and scales through float32, see `scaled_dot_product_attention`; its mask is True where a key takes part,
    PyTorch's is True where it does not (gap mha-mask-polarity: differs by 1.9).

    Args:
        embed_dim: width of queries and outputs, a multiple of `num_heads`.
        num_heads: ≥ 1.
        dropout: probability, 0–1, of dropping a weight in train mode; `self.dropping.mask` can be given.
        bias: learn the projections' biases.
        add_bias_kv: learn one more key and value.
        add_zero_attn: one more key and value of zeros.
        kdim, vdim: widths of keys and values; None: embed_dim.
        batch_first: (N, L, E). True, as everywhere in Keras; PyTorch's default is False.

    Shapes:
        query (N, L, embed_dim), key (N, S, kdim), value (N, S, vdim); key_padding_mask (N, S), attn_mask (L, S) or
        (N·num_heads, L, S): True where a key does not take part, or numbers that are added to the scores.
        Returns (N, L, embed_dim) and the weights: (N, L, S), the heads' mean, or (N, num_heads, L, S); None without
        `need_weights`.

    Raises:
        ValueError: `num_heads` does not divide `embed_dim`, or `is_causal` without `attn_mask`, as in PyTorch.

    Source: torch/nn/modules/activation.py, torch/nn/functional.py.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = True,
        **options,
    ):
        super().__init__(**options)
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(f"embed_dim must be a multiple of num_heads, not {embed_dim} of {num_heads}")
        self.embed_dim, self.num_heads, self.dropout, self.use_bias = embed_dim, num_heads, dropout, bias
        self.add_bias_kv, self.add_zero_attn, self.batch_first = add_bias_kv, add_zero_attn, batch_first
        self.kdim, self.vdim = kdim or embed_dim, vdim or embed_dim
        self.dropping = Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape):
        """Make the projections in PyTorch's order."""
        width, xavier = self.embed_dim, keras.initializers.GlorotUniform
        same = self.kdim == self.vdim == width
        self.in_proj_weight, self.projections = None, []
        if same:
            self.in_proj_weight = self._make("in_proj_weight", (3 * width, width), xavier())
        else:
            wide = {"q_proj_weight": width, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
            self.projections = [self._make(name, (width, size), xavier()) for name, size in wide.items()]
        self.in_proj_bias = self._make("in_proj_bias", (3 * width,), "zeros") if self.use_bias else None
        self.bias_k = self.bias_v = None
        if self.add_bias_kv:
            normal = keras.initializers.GlorotNormal
            self.bias_k = self._make("bias_k", (1, 1, width), normal())
            self.bias_v = self._make("bias_v", (1, 1, width), normal())
        self.out_weight = self._make("out_proj.weight", (width, width), fan_in_uniform(width))
        self.out_bias = self._make("out_proj.bias", (width,), "zeros") if self.use_bias else None

    def _make(self, name, shape, initializer):
        return self.add_weight(name=name, shape=shape, initializer=initializer)

    def call(
        self,
        query,
        key=None,
        value=None,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
        training=False,
    ):
        """Return (output, weights); `key` and `value` are the query, and the key, where they are None."""
        if is_causal and attn_mask is None:
            raise ValueError(f"{self.name}: is_causal says that attn_mask is causal; give attn_mask")
        key = query if key is None else key
        value = key if value is None else value
        if not self.batch_first:
            query, key, value = (tf.transpose(each, (1, 0, 2)) for each in (query, key, value))
        heads = [self._in_heads(each) for each in self._added(*self._project(query, key, value))]
        scores = tf.matmul(heads[0] / sqrt(self.embed_dim // self.num_heads), heads[1], transpose_b=True)
        mask = self._mask(scores, tf.shape(key)[1], attn_mask, key_padding_mask)
        weights = self.dropping(masked_softmax(scores, mask), training=training)
        joined = tf.transpose(tf.matmul(weights, heads[2]), (0, 2, 1, 3))  # (N, L, heads, d)
        joined = tf.reshape(joined, (tf.shape(joined)[0], tf.shape(joined)[1], self.embed_dim))
        output = _linear(joined, self.out_weight, self.out_bias)
        output = output if self.batch_first else tf.transpose(output, (1, 0, 2))
        if not need_weights:
            return output, None
        return output, tf.reduce_mean(weights, 1) if average_attn_weights else weights

    def _project(self, *given):
        """Return queries, keys and values, (N, L or S, embed_dim)."""
        kernels = self.projections or tf.split(tf.convert_to_tensor(self.in_proj_weight), 3)
        biases = [None] * 3 if self.in_proj_bias is None else tf.split(tf.convert_to_tensor(self.in_proj_bias), 3)
        return [_linear(*each) for each in zip(given, kernels, biases, strict=True)]

    def _added(self, query, key, value):
        """Append the learned key and value, and those of zeros."""
        batch = tf.shape(query)[0]
        if self.bias_k is not None:
            key = tf.concat([key, tf.repeat(tf.convert_to_tensor(self.bias_k), batch, 0)], 1)
            value = tf.concat([value, tf.repeat(tf.convert_to_tensor(self.bias_v), batch, 0)], 1)
        if self.add_zero_attn:
            key, value = (tf.pad(each, [[0, 0], [0, 1], [0, 0]]) for each in (key, value))
        return query, key, value

    def _in_heads(self, values):
        """Return (N, heads, L, d)."""
        shape = (tf.shape(values)[0], tf.shape(values)[1], self.num_heads, self.embed_dim // self.num_heads)
        return tf.transpose(tf.reshape(values, shape), (0, 2, 1, 3))

    def _mask(self, scores, keys, attn_mask, key_padding_mask):
        """Return what is added to the scores, (…, L, S) with the keys that were added unmasked; None: nothing."""
        parts = []
        if attn_mask is not None:
            mask = _additive(attn_mask, scores.dtype)
            if len(mask.shape) == 3:  # (N·heads, L, S)
                mask = tf.reshape(mask, (-1, self.num_heads, tf.shape(mask)[1], keys))
            parts.append(mask)
        if key_padding_mask is not None:
            parts.append(_additive(key_padding_mask, scores.dtype)[:, tf.newaxis, tf.newaxis])
        if not parts:
            return None
        mask = parts[0] if len(parts) == 1 else parts[0] + parts[1]
        added = tf.shape(scores)[-1] - keys
        return tf.pad(mask, [*[[0, 0]] * (len(mask.shape) - 1), [0, added]])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "embed_dim": self.embed_dim,
            "num_heads": self.num_heads,
            "dropout": self.dropout,
            "bias": self.use_bias,
            "add_bias_kv": self.add_bias_kv,
            "add_zero_attn": self.add_zero_attn,
            "kdim": self.kdim,
            "vdim": self.vdim,
            "batch_first": self.batch_first,
        }


def _additive(mask, dtype):
    """Return a mask as numbers to add: −∞ where it is True."""
    mask = tf.convert_to_tensor(mask)
    if mask.dtype == tf.bool:
        return tf.where(mask, tf.constant(float("-inf"), dtype), tf.zeros((), dtype))
    return tf.cast(mask, dtype)


def _linear(inputs, weight, bias):
    outputs = tf.einsum("nlc,ec->nle", inputs, weight)
    return outputs if bias is None else outputs + bias
