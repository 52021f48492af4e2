"""An LSTM translator with Luong's attention; the mistake scales the scores."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, tokens


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.source_embedding, self.target_embedding = nn.Embedding(30, 5), nn.Embedding(24, 4)
        self.encoder, self.decoder = nn.LSTM(5, 6, batch_first=True), nn.LSTM(4, 6, batch_first=True)
        self.attention_in, self.combine = nn.Linear(6, 6, bias=False), nn.Linear(12, 7)
        self.out = nn.Linear(7, 24)

    def forward(self, source, target):
        memory, state = self.encoder(self.source_embedding(source))
        x, _ = self.decoder(self.target_embedding(target), state)
        scores = x @ self.attention_in(memory).transpose(1, 2)
        context = scores.softmax(-1) @ memory
        return self.out(self.combine(torch.cat((context, x), -1)).tanh())


def seq2seq(score_scale=1.0):
    source, target = keras.Input((9,), dtype="int32", name="source"), keras.Input((7,), dtype="int32", name="target")
    encoder = layers.LSTM(6, return_sequences=True, return_state=True)
    memory, state_h, state_c = encoder(layers.Embedding(30, 5)(source))
    decoder = layers.LSTM(6, return_sequences=True)
    x = decoder(layers.Embedding(24, 4)(target), initial_state=[state_h, state_c])
    keys = layers.Dense(6, use_bias=False)(memory)
    scores = layers.Dot(axes=2)([x, keys])
    weights = layers.Softmax()(layers.Rescaling(score_scale)(scores))
    context = layers.Dot(axes=(2, 1))([weights, memory])
    x = layers.Dense(7, activation="tanh")(layers.Concatenate()([context, x]))
    return keras.Model([source, target], layers.Dense(24)(x))


PAIR = Pair(
    "seq2seq", Seq2Seq, seq2seq, (tokens(2, 9), tokens(2, 7, below=24)), {"score_scale": 6**-0.5},
    begins="activation:combine", slow=True,
)  # fmt: skip
