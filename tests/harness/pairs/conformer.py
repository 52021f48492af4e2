"""A conformer's block; the mistake adds the whole of its first feed-forward part and not the half."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS = 8, 2


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.sequential = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 12), nn.SiLU(), nn.Dropout(0.1), nn.Linear(12, WIDTH), nn.Dropout(0.1)
        )

    def forward(self, x):
        return self.sequential(x)


class ConvolutionModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_norm = nn.LayerNorm(WIDTH)
        self.sequential = nn.Sequential(
            nn.Conv1d(WIDTH, 2 * WIDTH, 1), nn.GLU(1), nn.Conv1d(WIDTH, WIDTH, 5, padding=2, groups=WIDTH),
            nn.BatchNorm1d(WIDTH), nn.SiLU(), nn.Conv1d(WIDTH, WIDTH, 1), nn.Dropout(0.1),
        )  # fmt: skip

    def forward(self, x):
        return self.sequential(self.layer_norm(x).transpose(1, 2)).transpose(1, 2)


class ConformerLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ffn1, self.ffn2, self.conv_module = FeedForward(), FeedForward(), ConvolutionModule()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.self_attn, self.dropout = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True), nn.Dropout(0.1)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x):
        x = x + 0.5 * self.ffn1(x)
        y = self.self_attn_layer_norm(x)
        x = x + self.dropout(self.self_attn(y, y, y, need_weights=False)[0])
        x = x + self.conv_module(x)
        return self.final_layer_norm(x + 0.5 * self.ffn2(x))


def norm(x):
    return layers.LayerNormalization(epsilon=1e-5)(x)


def feed_forward(x, factor):
    y = layers.Dropout(0.1)(layers.Dense(12, activation="swish")(norm(x)))
    y = layers.Dropout(0.1)(layers.Dense(WIDTH)(y))
    return layers.Add()([x, layers.Rescaling(factor)(y)])


def convolution(x):
    value, gate = keras.ops.split(layers.Conv1D(2 * WIDTH, 1)(norm(x)), 2, axis=-1)
    y = layers.Multiply()([value, layers.Activation("sigmoid")(gate)])
    y = layers.DepthwiseConv1D(5, padding="same")(y)
    y = layers.Activation("swish")(layers.BatchNormalization(epsilon=1e-5)(y))
    return layers.Add()([x, layers.Dropout(0.1)(layers.Conv1D(WIDTH, 1)(y))])


def conformer(first_factor=0.5):
    audio = keras.Input((9, WIDTH))
    x = feed_forward(audio, first_factor)
    y = norm(x)
    y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(y, y)
    x = convolution(layers.Add()([x, layers.Dropout(0.1)(y)]))
    return keras.Model(audio, norm(feed_forward(x, 0.5)))


PAIR = Pair(
    "conformer", ConformerLayer, conformer, numbers(2, 9, WIDTH), {"first_factor": 1.0},
    begins="activation:self_attn_layer_norm", slow=True,
)  # fmt: skip
