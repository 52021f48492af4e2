"""A GRU in both directions whose last states are classified; the mistake takes the last step of the sequence."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, tokens


class GRUClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.dropout = nn.Embedding(30, 7), nn.Dropout(0.4)
        self.gru, self.fc = nn.GRU(7, 5, batch_first=True, bidirectional=True), nn.Linear(10, 3)

    def forward(self, text):
        _, hidden = self.gru(self.dropout(self.embedding(text)))
        return self.fc(torch.cat((hidden[0], hidden[1]), 1))


def gru_classifier(last_step=False):
    text = keras.Input((9,), dtype="int32")
    x = layers.Dropout(0.4)(layers.Embedding(30, 7)(text))
    x = layers.Bidirectional(layers.GRU(5, return_sequences=last_step))(x)
    return keras.Model(text, layers.Dense(3)(x[:, -1] if last_step else x))


PAIR = Pair(
    "gru-classifier",
    GRUClassifier,
    gru_classifier,
    tokens(4, 9),
    {"last_step": True},
    begins="activation:fc",
    slow=True,
)
