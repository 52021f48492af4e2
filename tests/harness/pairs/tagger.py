"""A tagger of words, with an LSTM in both directions; the mistake is the fast sigmoid of Keras 1."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, tokens


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.word_embeds, self.lstm = nn.Embedding(30, 6), nn.LSTM(6, 4, num_layers=2, bidirectional=True)
        self.hidden2tag = nn.Linear(8, 5)

    def forward(self, sentence):
        out, _ = self.lstm(self.word_embeds(sentence).transpose(0, 1))
        return self.hidden2tag(out).transpose(0, 1)


def tagger(recurrent_activation="sigmoid"):
    def both(name):
        lstm = layers.LSTM(4, return_sequences=True, recurrent_activation=recurrent_activation)
        return layers.Bidirectional(lstm, name=name)

    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(input_dim=30, output_dim=6),
            both("first"),
            both("second"),
            layers.TimeDistributed(layers.Dense(5)),
        ]
    )


PAIR = Pair(
    "tagger",
    Tagger,
    tagger,
    tokens(3, 8),
    {"recurrent_activation": "hard_sigmoid"},
    begins="activation:lstm",
    slow=True,
)
