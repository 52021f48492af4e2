"""DeepFM: a linear part, pairwise products, a deep part; the mistake forgets the half of the products."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, tokens

FIELDS, WIDTH = 4, 3


class DeepFM(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.bias = nn.Embedding(30, 1), nn.Parameter(torch.zeros(1))
        self.embedding = nn.Embedding(30, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(FIELDS * WIDTH, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 1))

    def forward(self, x):
        first = self.linear(x).sum(1) + self.bias
        e = self.embedding(x)
        second = 0.5 * (e.sum(1) ** 2 - (e**2).sum(1)).sum(1, keepdim=True)
        return (first + second + self.mlp(e.flatten(1))).squeeze(1).sigmoid()


class FactorizationMachine(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, e):
        squares = ops.square(ops.sum(e, axis=1)) - ops.sum(ops.square(e), axis=1)
        return self.factor * ops.sum(squares, axis=1, keepdims=True)


class Ranker(keras.Model):
    def __init__(self, factor=0.5):
        super().__init__()
        self.deep = keras.Sequential([layers.Dense(6, activation="relu"), layers.Dropout(0.2), layers.Dense(1)])
        self.table, self.first_order = layers.Embedding(30, WIDTH), layers.Embedding(30, 1)
        self.interactions, self.flatten = FactorizationMachine(factor), layers.Flatten()
        self.intercept = self.add_weight(shape=(1,), initializer="zeros", name="intercept")

    def call(self, x):
        e = self.table(x)
        logits = self.deep(self.flatten(e)) + self.interactions(e)
        logits = logits + ops.sum(self.first_order(x), axis=1) + self.intercept
        return ops.sigmoid(ops.squeeze(logits, axis=1))


PAIR = Pair("deepfm", DeepFM, Ranker, tokens(5, FIELDS), {"factor": 1.0}, begins="output")
