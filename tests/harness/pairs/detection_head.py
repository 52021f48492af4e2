"""RetinaNet's head, shared by two levels, with a dict of outputs; the mistake mixes anchors and coordinates."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers

CLASSES, ANCHORS = 5, 3


class Tower(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.ReLU())
        self.predict, self.out = nn.Conv2d(6, ANCHORS * out, 3, padding=1), out

    def forward(self, features):
        found = []
        for x in features:
            y = self.predict(self.conv(x))
            n, _, h, w = y.shape
            found.append(y.view(n, ANCHORS, self.out, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, self.out))
        return torch.cat(found, 1)


class RetinaNetHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.classification_head, self.regression_head = Tower(CLASSES), Tower(4)

    def forward(self, p3, p4):
        features = [p3, p4]
        return {"cls_logits": self.classification_head(features), "bbox_regression": self.regression_head(features)}


def build_head(filters, name):
    inner = [layers.Conv2D(6, 3, padding="same", activation="relu") for _ in range(2)]
    return keras.Sequential(
        [keras.Input((None, None, 6)), *inner, layers.Conv2D(filters, 3, padding="same")], name=name
    )


def retinanet_head(transposed=False):
    levels = [keras.Input((6, 4, 6), name="p3"), keras.Input((3, 2, 6), name="p4")]
    box_head, class_head = build_head(ANCHORS * 4, "box_head"), build_head(ANCHORS * CLASSES, "class_head")
    boxes, classes = [], []
    for level in levels:
        y = box_head(level)
        if transposed:
            y = layers.Permute((1, 2, 4, 3))(layers.Reshape((*level.shape[1:3], 4, ANCHORS))(y))
        boxes.append(layers.Reshape((-1, 4))(y))
        classes.append(layers.Reshape((-1, CLASSES))(class_head(level)))
    outputs = {
        "bbox_regression": layers.Concatenate(axis=1)(boxes), "cls_logits": layers.Concatenate(axis=1)(classes)
    }  # fmt: skip
    return keras.Model(levels, outputs)


PAIR = Pair(
    "detection-head", RetinaNetHead, retinanet_head, (numbers(2, 6, 6, 4), numbers(2, 6, 3, 2, seed=1)),
    {"transposed": True}, begins="output:bbox_regression", slow=True,
)  # fmt: skip
