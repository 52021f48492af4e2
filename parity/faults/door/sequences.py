"""Right pairs of recurrent networks and attention."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from parity.faults.door.handed import Handed
from parity.faults.door.plain import cross_entropy, labels, numbers, sgd


def tokens(*shape: int) -> np.ndarray:
    """Return tokens below 30."""
    return np.random.RandomState(1).randint(0, 30, shape)


class TextClassifier(nn.Module):
    """Embedding, a bidirectional LSTM, a GRU of which the last state counts."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True, bidirectional=True)
        self.gru, self.fc = nn.GRU(10, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, text):
        """Return the logits."""
        sequence, _ = self.lstm(self.embedding(text))
        _, last = self.gru(sequence)
        return self.fc(last[-1])


def text(recurrent_activation: str = "sigmoid", reset_after: bool = True) -> Handed:
    """Embedding, bidirectional LSTM, GRU."""
    lstm = layers.LSTM(5, return_sequences=True, recurrent_activation=recurrent_activation)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(30, 6, name="words"),
            layers.Bidirectional(lstm, name="both"),
            layers.GRU(4, reset_after=reset_after, name="last"),
            layers.Dense(3, name="out"),
        ]
    )
    return Handed(TextClassifier(), model, tokens(4, 9))


class Recurrent(nn.Module):
    """A recurrent module and a linear layer of each step."""

    def __init__(self, kind):
        super().__init__()
        self.rnn, self.fc = kind(4, 6, batch_first=True), nn.Linear(6, 3)

    def forward(self, x):
        """Return the logits of each step."""
        return self.fc(self.rnn(x)[0])


def _recurrent(module: nn.Module, layer: layers.Layer) -> Handed:
    model = keras.Sequential([keras.Input((7, 4)), layer, layers.Dense(3, name="out")])
    return Handed(module, model, numbers(3, 7, 4))


def lstm() -> Handed:
    """An LSTM, all steps."""
    return _recurrent(Recurrent(nn.LSTM), layers.LSTM(6, return_sequences=True, name="lstm"))


def gru() -> Handed:
    """A GRU, all steps."""
    return _recurrent(Recurrent(nn.GRU), layers.GRU(6, return_sequences=True, name="gru"))


def lstm_kept() -> Handed:
    """An LSTM whose Keras weights the user's own converter has filled."""
    handed = lstm()
    rnn, fc = handed.module.rnn, handed.module.fc
    kernels = [getattr(rnn, f"weight_{k}_l0").detach().numpy().T for k in ("ih", "hh")]
    bias = (rnn.bias_ih_l0 + rnn.bias_hh_l0).detach().numpy()
    # Keras has one bias; the sum is PyTorch's first.
    with torch.no_grad():
        rnn.bias_ih_l0.copy_(torch.tensor(bias))
        rnn.bias_hh_l0.zero_()
    handed.model.get_layer("lstm").set_weights([*kernels, bias])
    handed.model.get_layer("out").set_weights([fc.weight.detach().numpy().T, fc.bias.detach().numpy()])
    return Handed(handed.module, handed.model, handed.inputs, {"weights": "keep"})


class Bag(nn.Module):
    """The mean of embedded words."""

    def __init__(self):
        super().__init__()
        self.words, self.norm, self.fc = nn.Embedding(30, 8), nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, text):
        """Return the logits."""
        return self.fc(nn.functional.silu(self.norm(self.words(text).mean(1))))


def bag() -> Handed:
    """Embedding, mean over time, LayerNorm, SiLU."""
    text = keras.Input((9,), dtype="int32")
    x = layers.GlobalAveragePooling1D(name="mean")(layers.Embedding(30, 8, name="words")(text))
    x = layers.Activation("silu", name="silu")(layers.LayerNormalization(epsilon=1e-5, name="norm")(x))
    options = {"loss": cross_entropy(), "target": labels(5, 4), "optimizer": sgd(0.5), "steps": 2}
    return Handed(Bag(), keras.Model(text, layers.Dense(4, name="fc")(x)), tokens(5, 9), options)


class Block(nn.Module):
    """A block of a transformer, over embedded tokens and places."""

    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(30, 8), nn.Embedding(7, 8)
        self.norm1, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm2, self.mlp = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, text):
        """Return the sequence."""
        x = self.tokens(text) + self.places(torch.arange(text.shape[1]))
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class Places(layers.Layer):
    """Adds a learned position to each token."""

    def __init__(self, count, width, **options):
        super().__init__(**options)
        self.count, self.width = count, width
        self.embedding = layers.Embedding(count, width)

    def build(self, shape):
        """Make the table."""
        self.embedding.build((None,))

    def call(self, x):
        """Return x and its places."""
        return x + self.embedding(ops.arange(self.count))

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "count": self.count, "width": self.width}


def transformer() -> Handed:
    """Tokens, places, attention, GELU; with a layer of the user's own."""
    text = keras.Input((7,), dtype="int64")
    x = Places(7, 8, name="places")(layers.Embedding(30, 8, name="words")(text))
    y = layers.LayerNormalization(epsilon=1e-5, name="before")(x)
    x = layers.Add(name="add1")([x, layers.MultiHeadAttention(2, 4, name="attention")(y, y)])
    y = layers.LayerNormalization(epsilon=1e-5, name="after")(x)
    y = layers.Activation("gelu", name="gelu")(layers.Dense(16, name="wide")(y))
    model = keras.Model(text, layers.Add(name="add2")([x, layers.Dense(8, name="narrow")(y)]))
    return Handed(Block(), model, tokens(4, 7))


class Across(nn.Module):
    """Attention from one sequence to another, whose keys and values have widths of their own."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6, vdim=10, batch_first=True)

    def forward(self, query, key, value):
        """Return the sequence."""
        return self.attention(query, key, value, need_weights=False)[0]


def across() -> Handed:
    """Attention of three inputs."""
    query, key, value = keras.Input((5, 8)), keras.Input((7, 6)), keras.Input((7, 10))
    given = layers.Activation("linear", name="key")(key)
    model = keras.Model([query, key, value], layers.MultiHeadAttention(2, 4, name="attention")(query, value, given))
    return Handed(Across(), model, (numbers(3, 5, 8), numbers(3, 7, 6), numbers(3, 7, 10)))


class Softmaxed(nn.Module):
    """A softmax over time as weights of a mean."""

    def __init__(self):
        super().__init__()
        self.score, self.fc = nn.Linear(4, 1), nn.Linear(4, 3)
        self.softmax = nn.Softmax(dim=1)

    def forward(self, x):
        """Return the logits."""
        return self.fc((self.softmax(self.score(x)) * x).sum(1))


def pooled() -> Handed:
    """A softmax over time."""
    given = keras.Input((7, 4))
    weight = layers.Softmax(axis=1, name="softmax")(layers.Dense(1, name="score")(given))
    x = layers.Lambda(lambda pair: ops.sum(pair[0] * pair[1], 1), name="sum")([weight, given])
    return Handed(Softmaxed(), keras.Model(given, layers.Dense(3, name="fc")(x)), numbers(3, 7, 4))


PAIRS = (text, lstm, gru, lstm_kept, bag, transformer, across, pooled)
