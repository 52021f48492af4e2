"""PointNet with its small network that transforms the points; the mistake multiplies by the transposed matrix."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers


def conv(into, out):
    return nn.Sequential(nn.Conv1d(into, out, 1), nn.BatchNorm1d(out), nn.ReLU())


class TNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = conv(3, 4), conv(4, 6)
        self.fc1, self.bn, self.fc2 = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 9)

    def forward(self, x):
        x = self.conv2(self.conv1(x)).max(2)[0]
        x = self.fc2(self.bn(self.fc1(x)).relu())
        return x.view(-1, 3, 3) + torch.eye(3, dtype=x.dtype)


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stn, self.conv1, self.conv2 = TNet(), conv(3, 5), conv(5, 8)
        self.fc1, self.dropout, self.fc2 = nn.Linear(8, 6), nn.Dropout(0.3), nn.Linear(6, 4)

    def forward(self, x):
        x = torch.bmm(x.transpose(2, 1), self.stn(x)).transpose(2, 1)
        x = self.conv2(self.conv1(x)).max(2)[0]
        return self.fc2(self.dropout(self.fc1(x).relu())).log_softmax(1)


def conv_bn(x, filters):
    x = layers.Conv1D(filters, kernel_size=1, padding="valid")(x)
    return layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(x))


def tnet(points, axis):
    x = layers.GlobalMaxPooling1D()(conv_bn(conv_bn(points, 4), 6))
    x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(layers.Dense(5)(x)))
    x = layers.Reshape((3, 3))(layers.Dense(9)(x))
    x = layers.Lambda(lambda m: m + ops.eye(3, dtype=m.dtype), output_shape=(3, 3))(x)
    return layers.Dot(axes=(2, axis))([points, x])


def pointnet(axis=1):
    points = keras.Input((11, 3))
    x = layers.GlobalMaxPooling1D()(conv_bn(conv_bn(tnet(points, axis), 5), 8))
    x = layers.Dropout(0.3)(layers.Dense(6, activation="relu")(x))
    return keras.Model(points, layers.Dense(4, activation="log_softmax")(x))


PAIR = Pair("pointnet", PointNet, pointnet, numbers(2, 3, 11), {"axis": 2}, begins="activation:conv1.0")
