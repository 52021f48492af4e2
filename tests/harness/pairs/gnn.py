"""A graph network that gathers and scatters; the mistake sends the messages against the edges."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

NODES = 7


class SAGEConv(nn.Module):
    """The mean of the neighbors' values beside the node's own, as in PyTorch Geometric."""

    def __init__(self, into, out):
        super().__init__()
        self.lin_l, self.lin_r = nn.Linear(into, out), nn.Linear(into, out, bias=False)

    def forward(self, x, edge_index):
        source, target = edge_index
        total = torch.zeros_like(x).index_add(0, target, x[source])
        count = torch.zeros(len(x), dtype=x.dtype).index_add(0, target, torch.ones(len(target), dtype=x.dtype))
        return self.lin_l(total / count.clamp(min=1)[:, None]) + self.lin_r(x)


class GNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.lin = SAGEConv(5, 6), SAGEConv(6, 6), nn.Linear(6, 3)

    def forward(self, x, edge_index):
        x = self.conv1(x, edge_index).relu()
        return self.lin(self.conv2(x, edge_index).relu())


class GraphSage(layers.Layer):
    def __init__(self, units, reverse, **kwargs):
        super().__init__(**kwargs)
        self.units, self.reverse = units, reverse

    def build(self, x_shape, edges_shape):
        self.self_dense = layers.Dense(self.units, use_bias=False, name="self")
        self.neighbor_dense = layers.Dense(self.units, name="neighbors")
        self.self_dense.build(x_shape)
        self.neighbor_dense.build(x_shape)

    def call(self, x, edges):
        receivers, senders = (edges[0], edges[1]) if self.reverse else (edges[1], edges[0])
        messages = ops.take(x, senders, axis=0)
        total = ops.segment_sum(messages, receivers, num_segments=NODES)
        count = ops.segment_sum(ops.ones_like(messages[:, :1]), receivers, num_segments=NODES)
        return self.self_dense(x) + self.neighbor_dense(total / ops.maximum(count, 1))


class Network(keras.Model):
    def __init__(self, reverse=False):
        super().__init__()
        self.sage = [GraphSage(6, reverse), GraphSage(6, reverse)]
        self.logits = layers.Dense(3)

    def call(self, inputs):
        x, edges = inputs
        for layer in self.sage:
            x = ops.relu(layer(x, edges))
        return self.logits(x)


EDGES = np.array([[0, 1, 2, 3, 4, 5, 6, 0, 2], [1, 2, 0, 2, 3, 3, 5, 4, 6]])
PAIR = Pair("gnn", GNN, Network, (numbers(NODES, 5), EDGES), {"reverse": True}, begins="activation:conv1.lin_l")
