"""ViT as timm has it: a packed q-k-v, a class token; the mistake puts the class token last."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS = 8, 2


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        return self.proj(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6), Attention(), nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 20), nn.GELU(), nn.Linear(20, WIDTH))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class VisionTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.pos_embed = nn.Parameter(torch.randn(1, 13, WIDTH) * 0.2)
        self.patch_embed = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class ClassToken(layers.Layer):
    def __init__(self, last, **kwargs):
        super().__init__(**kwargs)
        self.last = last

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="zeros", name="cls")

    def call(self, x):
        token = ops.broadcast_to(self.token, (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([x, token] if self.last else [token, x], axis=1)


class PositionEmbedding(layers.Layer):
    def build(self, shape):
        self.table = self.add_weight(shape=(1, *shape[1:]), initializer="random_normal", name="embeddings")

    def call(self, x):
        return x + self.table


class SelfAttention(layers.Layer):
    def build(self, shape):
        self.projection = layers.Dense(shape[-1], name="projection")
        self.qkv = layers.Dense(3 * shape[-1], name="qkv")

    def call(self, x):
        t = x.shape[1]
        qkv = ops.reshape(self.qkv(x), (-1, t, 3, HEADS, WIDTH // HEADS))
        q, k, v = (qkv[:, :, j] for j in range(3))
        y = ops.dot_product_attention(q, k, v)
        return self.projection(ops.reshape(y, (-1, t, WIDTH)))


def vit(last=False):
    image = keras.Input((16, 12, 3))
    x = layers.Conv2D(WIDTH, 4, strides=4, name="patches")(image)
    x = layers.Reshape((-1, WIDTH))(x)
    x = PositionEmbedding()(ClassToken(last)(x))
    for _ in range(2):
        y = SelfAttention()(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(20, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(WIDTH)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(image, layers.Dense(5, name="predictions")(x[:, 0]))


PAIR = Pair(
    "vit", VisionTransformer, vit, numbers(2, 3, 16, 12), {"last": True}, begins="activation:blocks.0.norm1", slow=True
)
