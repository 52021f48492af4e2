"""CRNN, which reads a line of text; the mistake orders the features by height, not by channel."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class CRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2),
            nn.Conv2d(4, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(True), nn.MaxPool2d((2, 1), (2, 1)),
        )  # fmt: skip
        self.map_to_seq, self.rnn = nn.Linear(10, 6), nn.LSTM(6, 4, bidirectional=True)
        self.dense = nn.Linear(8, 7)

    def forward(self, images):
        x = self.cnn(images)
        n, c, h, w = x.shape
        x = self.map_to_seq(x.view(n, c * h, w).permute(2, 0, 1))
        return self.dense(self.rnn(x)[0]).log_softmax(2)


def crnn(by_height=False):
    image = keras.Input((8, 14, 1), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="Conv1")(image)
    x = layers.MaxPooling2D((2, 2), name="pool1")(x)
    x = layers.Conv2D(5, 3, padding="same", name="Conv2")(x)
    x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(x))
    x = layers.MaxPooling2D((2, 1), name="pool2")(x)
    x = layers.Permute((2, 1, 3) if by_height else (2, 3, 1))(x)
    x = layers.Dense(6, name="dense1")(layers.Reshape((7, 10), name="reshape")(x))
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.Dense(7, activation="log_softmax", name="dense2")(x)
    return keras.Model(image, layers.Lambda(lambda y: keras.ops.swapaxes(y, 0, 1), output_shape=(None, 7))(x))


PAIR = Pair("crnn", CRNN, crnn, numbers(2, 1, 8, 14), {"by_height": True}, begins="activation:map_to_seq", slow=True)
