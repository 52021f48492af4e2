"""Right pairs of convolutional networks."""

from functools import partial
from typing import Any

import keras
import torch
from keras import layers, ops
from torch import nn

from keras_blitz import models, optim
from keras_blitz.layers import BatchNorm
from parity.faults.door.handed import Handed
from parity.faults.door.plain import cross_entropy, labels, mse, numbers, sgd
from parity.twins.torch import families
from parity.twins.torch.lenet import Net


def lenet() -> Handed:
    """LeNet as a functional model."""
    given = keras.Input((32, 32, 1))
    x = layers.MaxPooling2D(name="pool1")(layers.Conv2D(6, 5, activation="relu", name="conv1")(given))
    x = layers.MaxPooling2D(name="pool2")(layers.Conv2D(16, 5, activation="relu", name="conv2")(x))
    x = layers.Dense(120, activation="relu", name="fc1")(layers.Flatten(name="flatten")(x))
    model = keras.Model(given, layers.Dense(10, name="fc3")(layers.Dense(84, activation="relu", name="fc2")(x)))
    options = {"loss": cross_entropy(), "target": labels(3, 10), "optimizer": sgd(0.1), "steps": 1}
    return Handed(Net(), model, numbers(3, 1, 32, 32), options)


class LeNetKeras(keras.Model):
    """LeNet as a subclassed model, its activation an attribute."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.pool = layers.Conv2D(6, 5), layers.Conv2D(16, 5), layers.MaxPooling2D()
        self.fc1, self.fc2, self.fc3 = layers.Dense(120), layers.Dense(84), layers.Dense(10)
        self.activation = ops.relu

    def call(self, x):
        """Return the logits."""
        x = self.pool(self.activation(self.conv1(x)))
        x = self.pool(self.activation(self.conv2(x)))
        x = ops.reshape(x, (ops.shape(x)[0], -1))
        return self.fc3(self.activation(self.fc2(self.activation(self.fc1(x)))))


def lenet_subclassed() -> Handed:
    """LeNet as a subclassed model."""
    return Handed(Net(), LeNetKeras(), numbers(3, 1, 32, 32), {"loss": cross_entropy(), "target": labels(3, 10)})


def lenet_blitz() -> Handed:
    """keras_blitz's LeNet and its optimizer."""
    pair = (partial(torch.optim.SGD, lr=0.1, momentum=0.9), optim.SGD(lr=0.1, momentum=0.9))
    options = {"loss": cross_entropy(), "target": labels(3, 10), "optimizer": pair, "steps": 2}
    return Handed(Net(), models.LeNet(), numbers(3, 1, 32, 32), options)


def conv_bn() -> Handed:
    """Convolution, BatchNorm and pooling in eval mode, with running statistics that are not their first values."""
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8 * 3 * 4, 5),
    )  # fmt: skip
    _stir(module[1])
    model = keras.Sequential(
        [
            keras.Input((12, 16, 3)),
            layers.ZeroPadding2D(1, name="pad"),
            layers.Conv2D(8, 3, strides=2, name="conv"),
            layers.BatchNormalization(epsilon=1e-5, name="bn"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, name="fc"),
        ]
    )
    return Handed(module, model, numbers(3, 3, 12, 16), {"loss": cross_entropy(), "target": labels(3, 5)})


def _stir(norm: Any) -> None:
    """Give a BatchNorm running statistics of its own."""
    with torch.no_grad():
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2.0)
        norm.weight.uniform_(0.5, 1.5)


def conv_bn_train() -> Handed:
    """The same in train mode, with the BatchNorm that keeps PyTorch's running variance."""
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 30, 4))
    model = keras.Sequential(
        [
            keras.Input((8, 7, 3)),
            layers.Conv2D(8, 3, name="conv"),
            BatchNorm(name="bn"),
            layers.ReLU(name="relu"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, name="fc"),
        ]
    )
    options = {"loss": cross_entropy(), "target": labels(5, 4), "optimizer": sgd(0.1), "steps": 2, "train": True}
    return Handed(module, model, numbers(5, 3, 8, 7), options)


class FrozenTrunk(nn.Module):
    """A trunk whose BatchNorm stays in eval mode, under a head that is trained."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 4)
        _stir(self.trunk[1])

    def forward(self, x):
        """Return the logits."""
        return self.head(self.trunk(x).mean((2, 3)))


def trunk_in_eval() -> Handed:
    """`trunk.eval()` in a module in train mode; Keras's BatchNorm is frozen, and so in inference mode."""
    module = FrozenTrunk().train()
    module.trunk.eval()
    module.trunk.requires_grad_(False)
    trunk = keras.Sequential(
        [
            keras.Input((8, 7, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.BatchNormalization(epsilon=1e-5, name="bn"),
            layers.ReLU(name="relu"),
        ],
        name="trunk",
    )
    trunk.trainable = False
    given = keras.Input((8, 7, 3))
    x = layers.GlobalAveragePooling2D(name="mean")(trunk(given))
    model = keras.Model(given, layers.Dense(4, name="head")(x))
    theirs = partial(_of_trainable, rate=0.1)
    options = {"loss": cross_entropy(), "target": labels(5, 4), "optimizer": (theirs, keras.optimizers.SGD(0.1))}
    return Handed(module, model, numbers(5, 3, 8, 7), {**options, "steps": 2, "train": True})


def _of_trainable(parameters, rate: float):
    return torch.optim.SGD([one for one in parameters if one.requires_grad], lr=rate)


class Conv1dNet(nn.Module):
    """Convolutions over time."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8)
        self.conv2 = nn.Conv1d(8, 4, 3, stride=2, padding=1)
        self.drop, self.fc = nn.Dropout(0.25), nn.Linear(4 * 10, 6)

    def forward(self, x):
        """Return the logits."""
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.conv2(x))
        return self.fc(self.drop(torch.flatten(x, 1)))


def conv1d() -> Handed:
    """Convolutions over time, BatchNorm and dropout, in eval mode."""
    inputs = keras.Input((20, 3))
    x = layers.Conv1D(8, 5, padding="same", name="first")(inputs)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="norm")(x)
    x = layers.ZeroPadding1D(1, name="pad")(layers.ReLU(name="relu")(x))
    x = layers.Conv1D(4, 3, strides=2, activation="relu", name="second")(x)
    x = layers.Dropout(0.25, name="drop")(layers.Flatten(name="flatten")(x))
    return Handed(Conv1dNet(), keras.Model(inputs, layers.Dense(6, name="out")(x)), numbers(5, 3, 20))


def dropout_train() -> Handed:
    """Dropout of values and of channels in train mode, through the same masks, and four steps."""
    module = nn.Sequential(
        nn.Conv1d(3, 8, 5), nn.ReLU(), nn.Dropout1d(0.4), nn.Flatten(),
        nn.Linear(128, 6), nn.Dropout(0.3), nn.Linear(6, 4),
    )  # fmt: skip
    model = keras.Sequential(
        [
            keras.Input((20, 3)),
            layers.Conv1D(8, 5, activation="relu", name="conv"),
            layers.SpatialDropout1D(0.4, name="drop1"),
            layers.Flatten(name="flatten"),
            layers.Dense(6, name="fc1"),
            layers.Dropout(0.3, name="drop2"),
            layers.Dense(4, name="fc2"),
        ]
    )
    options = {
        "loss": cross_entropy(), "train": True, "target": labels(5, 4), "steps": 2, "optimizer": sgd(0.1, momentum=0.9)
    }  # fmt: skip
    return Handed(module, model, numbers(5, 3, 20), options)


class Styled(nn.Module):
    """Normalized by image and channel."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(2, 6, 3), nn.InstanceNorm2d(6, affine=True), nn.Conv2d(6, 3, 1)

    def forward(self, x):
        """Return the image."""
        return self.out(torch.relu(self.norm(self.conv(x))))


def instance_norm() -> Handed:
    """InstanceNorm, in Keras GroupNormalization of groups of one."""
    inputs = keras.Input((9, 7, 2))
    x = layers.Conv2D(6, 3, name="first")(inputs)
    x = layers.ReLU(name="relu")(layers.GroupNormalization(groups=-1, epsilon=1e-5, name="group")(x))
    return Handed(Styled(), keras.Model(inputs, layers.Conv2D(3, 1, name="last")(x)), numbers(3, 2, 9, 7))


class UNet(nn.Module):
    """Down, up by a transposed convolution, and across."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(4, 8), nn.ReLU(inplace=True))
        self.bottom = nn.Sequential(nn.Conv2d(8, 12, 3, padding=1), nn.GroupNorm(3, 12), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(12, 8, 3, stride=2, padding=1, output_padding=1)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x):
        """Return the image."""
        left = self.down(x)
        right = self.up(self.bottom(nn.functional.max_pool2d(left, 2)))
        return self.out(torch.cat([left, right], 1))


def unet() -> Handed:
    """GroupNorm, a transposed convolution and a concatenation."""

    def block(x, width, groups, name):
        x = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv")(x)
        return layers.ReLU(name=f"{name}_relu")(layers.GroupNormalization(groups, epsilon=1e-5, name=f"{name}_norm")(x))

    inputs = keras.Input((16, 12, 2))
    left = block(inputs, 8, 4, "left")
    x = block(layers.MaxPooling2D(name="pool")(left), 12, 3, "bottom")
    # PyTorch crops one value at the beginning of each axis.
    x = layers.Conv2DTranspose(8, 3, strides=2, padding="valid", output_padding=1, name="right")(x)
    x = layers.Cropping2D(((1, 1), (1, 1)), name="crop")(x)
    model = keras.Model(inputs, layers.Conv2D(2, 1, name="last")(layers.Concatenate(name="both")([left, x])))
    return Handed(UNet(), model, numbers(3, 2, 16, 12))


class Separable(nn.Module):
    """Depthwise and pointwise convolution, PReLU, a pool that rounds up."""

    def __init__(self):
        super().__init__()
        self.depthwise, self.pointwise = nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 5, 1)
        self.act, self.pool, self.fc = nn.PReLU(5), nn.MaxPool2d(2, ceil_mode=True), nn.Linear(5 * 4 * 5, 7)

    def forward(self, x):
        """Return the logits."""
        return self.fc(self.pool(self.act(self.pointwise(self.depthwise(x)))).flatten(1))


class SeparableKeras(keras.Model):
    """Subclassed; what its arguments choose is not in its configuration."""

    def __init__(self, padding="same", extra=0):
        super().__init__()
        self.depthwise, self.pointwise = layers.DepthwiseConv2D(3, depth_multiplier=2), layers.Conv2D(5, 1)
        self.act, self.pool = layers.PReLU(shared_axes=[1, 2]), layers.MaxPooling2D(2, padding=padding)
        self.head, self.extra = layers.Dense(7), extra

    def call(self, x):
        """Return the logits; `extra` rows and columns of zeros are appended before the flatten."""
        x = self.pool(self.act(self.pointwise(self.depthwise(x))))
        x = ops.pad(x, ((0, 0), (0, self.extra), (0, self.extra), (0, 0))) if self.extra else x
        return self.head(ops.reshape(x, (ops.shape(x)[0], -1)))


def separable() -> Handed:
    """Depthwise convolution, PReLU and `ceil_mode`, subclassed."""
    return Handed(Separable(), SeparableKeras(), numbers(2, 3, 9, 11))


class Residual(nn.Module):
    """torchvision's basic block with a downsampling branch, after a stem, and a head."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.down, self.fc = nn.Conv2d(3, 8, 1, stride=2, bias=False), nn.Linear(8, 4)
        _stir(self.bn1)
        _stir(self.bn2)

    def forward(self, x):
        """Return the logits."""
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.relu(y + self.down(x)).mean((2, 3)))


def residual() -> Handed:
    """A residual block with strides, as in ResNet.

    The sizes are odd: where the last row is not reached, Keras's float32 gradient of a 1 × 1 kernel at stride 2 writes
    out of bounds (see `keras_blitz.layers.convolution.overruns`).
    """
    given = keras.Input((13, 11, 3))
    x = layers.ZeroPadding2D(1, name="pad1")(given)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="conv1")(x)
    x = layers.ReLU(name="relu1")(layers.BatchNormalization(epsilon=1e-5, name="bn1")(x))
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(epsilon=1e-5, name="bn2")(x)
    short = layers.Conv2D(8, 1, strides=2, use_bias=False, name="down")(given)
    x = layers.ReLU(name="relu2")(layers.Add(name="add")([x, short]))
    model = keras.Model(given, layers.Dense(4, name="fc")(layers.GlobalAveragePooling2D(name="mean")(x)))
    return Handed(Residual(), model, numbers(3, 3, 13, 11), {"loss": mse(), "target": numbers(3, 4)})


def averaged() -> Handed:
    """Average pooling without padding, and LeakyReLU with PyTorch's slope."""
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.LeakyReLU(0.25), nn.AvgPool2d(2), nn.Conv2d(6, 4, 3), nn.Softplus())
    model = keras.Sequential(
        [
            keras.Input((12, 10, 3)),
            layers.Conv2D(6, 3, name="conv1"),
            layers.LeakyReLU(0.25, name="leaky"),
            layers.AveragePooling2D(2, name="pool"),
            layers.Conv2D(4, 3, name="conv2"),
            layers.Activation("softplus", name="softplus"),
        ]
    )
    return Handed(module, model, numbers(2, 3, 12, 10))


class Scaled(nn.Module):
    """Pixels of 0 … 255 are scaled to −1 … 1 first."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x):
        """Return the logits."""
        return self.fc(torch.tanh(self.conv(x / 128 - 1)).mean((2, 3)))


def scaled_inputs() -> Handed:
    """Preprocessing inside both models; a power of two, so that both round alike."""
    model = keras.Sequential(
        [
            keras.Input((8, 6, 3)),
            layers.Rescaling(1 / 128, offset=-1.0, name="scale"),
            layers.Conv2D(6, 3, padding="same", activation="tanh", name="conv"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(4, name="fc"),
        ]
    )
    pixels = (abs(numbers(3, 3, 8, 6)) * 60 % 256).astype("float32")
    return Handed(Scaled(), model, pixels)


def conv_kept() -> Handed:
    """A convolution and a dense layer after a flatten, filled by the user's own converter."""
    module: Any = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 5 * 4, 4))
    _stir(module[1])
    model = keras.Sequential(
        [
            keras.Input((7, 6, 2)),
            layers.Conv2D(3, 3, name="conv"),
            layers.BatchNormalization(epsilon=1e-5, name="bn"),
            layers.Activation("tanh", name="tanh"),
            layers.Flatten(name="flatten"),
            layers.Dense(4, name="fc"),
        ]
    )
    conv, norm, fc = module[0], module[1], module[4]
    values = {
        "conv": [conv.weight.permute(2, 3, 1, 0), conv.bias],
        "bn": [norm.weight, norm.bias, norm.running_mean, norm.running_var],
        "fc": [fc.weight.reshape(4, 3, 5, 4).permute(2, 3, 1, 0).reshape(60, 4), fc.bias],
    }
    for name, tensors in values.items():
        model.get_layer(name).set_weights([tensor.detach().numpy() for tensor in tensors])
    return Handed(module, model, numbers(3, 2, 7, 6), {"weights": "keep"})


def resnet18() -> Handed:
    """torchvision's ResNet18 on images of 64 × 64, and keras_blitz's."""
    module = families.build("resnet18", num_classes=10).eval()
    model = models.resnet18(num_classes=10, input_shape=(64, 64, 3))
    return Handed(module, model, numbers(2, 3, 64, 64), {"loss": cross_entropy(), "target": labels(2, 10)})


PAIRS = (
    lenet, lenet_subclassed, lenet_blitz, conv_bn, conv_bn_train, trunk_in_eval, conv1d, dropout_train, instance_norm,
    unet, separable, residual, averaged, scaled_inputs, conv_kept, resnet18,
)  # fmt: skip
