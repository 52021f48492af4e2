"""MLP-Mixer: MLPs over tokens and over channels; the mistake normalizes with Keras's own epsilon."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, TOKENS = 8, 12


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))


class MixerBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6), nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp_tokens, self.mlp_channels = Mlp(TOKENS, 5), Mlp(WIDTH, 20)

    def forward(self, x):
        x = x + self.mlp_tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.mlp_channels(self.norm2(x))


class MlpMixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.blocks = nn.Conv2d(3, WIDTH, 4, stride=4), nn.Sequential(MixerBlock(), MixerBlock())
        self.norm, self.head = nn.LayerNorm(WIDTH, eps=1e-6), nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.blocks(self.stem(x).flatten(2).transpose(1, 2))
        return self.head(self.norm(x).mean(1))


class MixerLayer(layers.Layer):
    """As in Keras's examples."""

    def __init__(self, epsilon, **kwargs):
        super().__init__(**kwargs)
        self.mlp1 = keras.Sequential([layers.Dense(5, activation="gelu"), layers.Dense(TOKENS)])
        self.mlp2 = keras.Sequential([layers.Dense(20, activation="gelu"), layers.Dense(WIDTH)])
        self.first_norm = layers.LayerNormalization(epsilon=1e-6)
        self.second_norm = layers.LayerNormalization(epsilon=epsilon)

    def build(self, input_shape):
        self.first_norm.build(input_shape)
        self.second_norm.build(input_shape)
        self.mlp1.build((None, WIDTH, TOKENS))
        self.mlp2.build(input_shape)
        self.built = True

    def call(self, inputs):
        x = keras.ops.transpose(self.first_norm(inputs), axes=(0, 2, 1))
        x = keras.ops.transpose(self.mlp1(x), axes=(0, 2, 1)) + inputs
        return x + self.mlp2(self.second_norm(x))


def mlp_mixer(epsilon=1e-6):
    image = keras.Input((16, 12, 3))
    x = layers.Reshape((TOKENS, WIDTH))(layers.Conv2D(WIDTH, 4, strides=4)(image))
    x = keras.Sequential([MixerLayer(epsilon), MixerLayer(epsilon)])(x)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(epsilon=1e-6)(x))
    return keras.Model(image, layers.Dense(5)(x))


PAIR = Pair(
    "mlp-mixer",
    MlpMixer,
    mlp_mixer,
    numbers(2, 3, 16, 12),
    {"epsilon": 1e-3},
    begins="activation:blocks.0.norm2",
    slow=True,
)
