"""LLaMA's decoder: RMSNorm, rotary embedding, grouped queries, SwiGLU; the mistake interleaves the rotary halves."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, tokens

WIDTH, HEADS, GROUPS, SIZE = 12, 4, 2, 4  # the heads' size is even, and not width / heads


def angles(length, size=SIZE):
    frequencies = 1e4 ** -(np.arange(0, size, 2) / size)
    return np.outer(np.arange(length), frequencies).astype("float32")


class LlamaRMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def rotate_half(x):
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


class LlamaAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.o_proj = (
            nn.Linear(WIDTH, HEADS * SIZE, bias=False),
            nn.Linear(HEADS * SIZE, WIDTH, bias=False),
        )
        self.k_proj, self.v_proj = (nn.Linear(WIDTH, GROUPS * SIZE, bias=False) for _ in range(2))

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (p(x).view(n, t, -1, SIZE).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        angle = torch.from_numpy(angles(t)).to(x.dtype)
        cos, sin = (torch.cat((y, y), -1) for y in (angle.cos(), angle.sin()))
        q, k = (y * cos + rotate_half(y) * sin for y in (q, k))
        k, v = (y.repeat_interleave(HEADS // GROUPS, 1) for y in (k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).reshape(n, t, -1))


class LlamaMLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj = (nn.Linear(WIDTH, 20, bias=False) for _ in range(2))
        self.down_proj, self.act_fn = nn.Linear(20, WIDTH, bias=False), nn.SiLU()

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = LlamaAttention(), LlamaMLP()
        self.input_layernorm, self.post_attention_layernorm = LlamaRMSNorm(), LlamaRMSNorm()

    def forward(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens, self.layers = nn.Embedding(30, WIDTH), nn.ModuleList(LlamaLayer() for _ in range(2))
        self.norm, self.lm_head = LlamaRMSNorm(), nn.Linear(WIDTH, 30, bias=False)

    def forward(self, input_ids):
        x = self.embed_tokens(input_ids)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(self.norm(x))


class RotaryEmbedding(layers.Layer):
    def __init__(self, interleaved, **kwargs):
        super().__init__(**kwargs)
        self.interleaved = interleaved

    def call(self, x):
        angle = ops.cast(angles(x.shape[1]), x.dtype)[None, :, None]
        cos, sin = ops.cos(angle), ops.sin(angle)
        if self.interleaved:
            first, second = x[..., ::2], x[..., 1::2]
            pairs = ops.stack([first * cos - second * sin, second * cos + first * sin], axis=-1)
            return ops.reshape(pairs, ops.shape(x))
        first, second = ops.split(x, 2, axis=-1)
        return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


class GroupedAttention(layers.Layer):
    """With Keras's EinsumDense for the projections, as in KerasHub."""

    def __init__(self, interleaved, **kwargs):
        super().__init__(**kwargs)
        self.rotary = RotaryEmbedding(interleaved)
        self.output_dense = layers.EinsumDense("bqhd,hdm->bqm", (None, WIDTH), name="attention_output")
        self.value_dense = layers.EinsumDense("bkm,mgd->bkgd", (None, GROUPS, SIZE), name="value")
        self.key_dense = layers.EinsumDense("bkm,mgd->bkgd", (None, GROUPS, SIZE), name="key")
        self.query_dense = layers.EinsumDense("bqm,mhd->bqhd", (None, HEADS, SIZE), name="query")

    def call(self, x):
        t = x.shape[1]
        q, k = self.rotary(self.query_dense(x)), self.rotary(self.key_dense(x))
        k, v = (ops.repeat(y, HEADS // GROUPS, axis=2) for y in (k, self.value_dense(x)))
        scores = ops.einsum("bqhd,bkhd->bhqk", q, k) / SIZE**0.5
        scores = ops.where(ops.tril(ops.ones((t, t), bool)), scores, -1e9)
        return self.output_dense(ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), v))


def causal_lm(interleaved=False):
    ids = keras.Input((7,), dtype="int32", name="token_ids")
    x = layers.Embedding(30, WIDTH, name="token_embedding")(ids)
    for k in range(2):
        y = layers.RMSNormalization(epsilon=1e-6, name=f"block_{k}_attention_norm")(x)
        x = layers.Add()([x, GroupedAttention(interleaved, name=f"block_{k}_attention")(y)])
        y = layers.RMSNormalization(epsilon=1e-6, name=f"block_{k}_ffw_norm")(x)
        up = layers.Dense(20, use_bias=False, name=f"block_{k}_ffw_linear")(y)
        gate = layers.Dense(20, use_bias=False, activation="silu", name=f"block_{k}_ffw_gate")(y)
        y = layers.Dense(WIDTH, use_bias=False, name=f"block_{k}_ffw_out")(layers.Multiply()([up, gate]))
        x = layers.Add()([x, y])
    x = layers.RMSNormalization(epsilon=1e-6, name="final_norm")(x)
    return keras.Model(ids, layers.Dense(30, use_bias=False, name="logits")(x))


PAIR = Pair(
    "llama",
    Llama,
    causal_lm,
    tokens(3, 7),
    {"interleaved": True},
    begins="activation:layers.0.self_attn.o_proj",
    slow=True,
)
