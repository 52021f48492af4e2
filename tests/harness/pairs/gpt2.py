"""GPT-2 as transformers has it: Conv1D with its transposed weight, packed q-k-v, a tied head; the mistake is erf."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, tokens

WIDTH, HEADS = 8, 2


class Conv1D(nn.Module):
    """A Linear whose weight is transposed."""

    def __init__(self, out, into):
        super().__init__()
        self.nf = out
        self.weight, self.bias = nn.Parameter(torch.randn(into, out) * 0.2), nn.Parameter(torch.zeros(out))

    def forward(self, x):
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], self.nf)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_attn, self.c_proj = Conv1D(3 * WIDTH, WIDTH), Conv1D(WIDTH, WIDTH)
        self.register_buffer("bias", torch.ones(11, 11, dtype=torch.bool).tril(), persistent=False)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (y.view(n, t, HEADS, -1).transpose(1, 2) for y in self.c_attn(x).split(WIDTH, 2))
        scores = q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5
        scores = scores.masked_fill(~self.bias[:t, :t], torch.finfo(scores.dtype).min)
        return self.c_proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, WIDTH))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.c_fc, self.c_proj, self.act = Conv1D(20, WIDTH), Conv1D(WIDTH, 20), nn.GELU(approximate="tanh")

    def forward(self, x):
        return self.c_proj(self.act(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(WIDTH, eps=1e-5), Attention()
        self.ln_2, self.mlp = nn.LayerNorm(WIDTH, eps=1e-5), Mlp()

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(30, WIDTH), nn.Embedding(11, WIDTH)
        self.h, self.ln_f = nn.ModuleList(Block() for _ in range(2)), nn.LayerNorm(WIDTH, eps=1e-5)
        self.lm_head = nn.Linear(WIDTH, 30, bias=False)
        self.lm_head.weight = self.wte.weight

    def forward(self, input_ids):
        x = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class CausalSelfAttention(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = layers.Dense(WIDTH, name="out")
        self.qkv = layers.Dense(3 * WIDTH, name="qkv")

    def call(self, x):
        t = x.shape[1]
        q, k, v = (ops.reshape(y, (-1, t, HEADS, WIDTH // HEADS)) for y in ops.split(self.qkv(x), 3, axis=-1))
        scores = ops.einsum("bqhd,bkhd->bhqk", q, k) / (WIDTH // HEADS) ** 0.5
        scores = ops.where(ops.tril(ops.ones((t, t), bool)), scores, -1e9)
        y = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), v)
        return self.out(ops.reshape(y, (-1, t, WIDTH)))


class DecoderBlock(layers.Layer):
    def __init__(self, approximate, **kwargs):
        super().__init__(**kwargs)
        self.attention_norm, self.mlp_norm = (layers.LayerNormalization(epsilon=1e-5) for _ in range(2))
        self.attention = CausalSelfAttention()
        self.contract, self.expand = layers.Dense(WIDTH), layers.Dense(20)
        self.approximate = approximate

    def call(self, x):
        x = x + self.attention(self.attention_norm(x))
        y = keras.activations.gelu(self.expand(self.mlp_norm(x)), approximate=self.approximate)
        return x + self.contract(y)


class Generator(keras.Model):
    """Subclassed, with a loop over blocks, and logits from the table of tokens."""

    def __init__(self, approximate=True):
        super().__init__()
        self.token_embedding = layers.Embedding(30, WIDTH)
        self.position_embedding = layers.Embedding(11, WIDTH)
        self.blocks = [DecoderBlock(approximate) for _ in range(2)]
        self.final_norm = layers.LayerNormalization(epsilon=1e-5)

    def call(self, ids):
        x = self.token_embedding(ids) + self.position_embedding(ops.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return ops.matmul(self.final_norm(x), ops.transpose(self.token_embedding.embeddings))


PAIR = Pair(
    "gpt2", GPT2, Generator, tokens(3, 7), {"approximate": False}, begins="activation:h.0.mlp.c_proj",
    slow=True,
)  # fmt: skip
