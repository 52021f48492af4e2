"""What goes wrong around the network: data on its way in, the order of a batch, the training loop, frozen layers."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_blitz import data
from parity.faults.fault import eager, fault, survivor
from parity.faults.plant import Plant

Planting = Callable[[Plant], None]


def _inputs(change: Callable) -> Planting:
    """Other images, in PyTorch's layout (N, C, H, W)."""
    return lambda plant: plant.batch(lambda x, y: (np.ascontiguousarray(change(x)), y))


def _targets(change: Callable) -> Planting:
    return lambda plant: plant.batch(lambda x, y: (x, change(y)))


def _read_as_last(images):
    """(N, C, H, W) reshaped, not transposed, to (N, H, W, C)."""
    count, channels, height, width = images.shape
    return images.reshape(count, height, width, channels).transpose(0, 3, 1, 2)


def _transform(name: str, function: Callable) -> Planting:
    """Another transform of the sample's images: function(original, images, *arguments)."""
    return lambda plant: plant.around(data, name, function)


def _updates(change: Callable) -> Planting:
    return lambda plant: plant.updates(change)


def _accumulating(apply, gradients, variables, memory):
    """Gradients never set to zero between the steps."""
    memory["sum"] = [g + s for g, s in zip(gradients, memory.get("sum", [0.0] * len(gradients)), strict=True)]
    apply(memory["sum"], variables)


def _twice(apply, gradients, variables, _):
    apply(gradients, variables)
    apply(gradients, variables)


def _late(apply, gradients, variables, memory):
    """The first step only makes the optimizer's variables."""
    if memory.setdefault("begun", False):
        apply(gradients, variables)
    memory["begun"] = True


def _uphill(apply, gradients, variables, _):
    apply([-g for g in gradients], variables)


def _stale(apply, gradients, variables, memory):
    """Each step takes the gradients of the step before."""
    apply(memory.get("last", gradients), variables)
    memory["last"] = gradients


def _by_position(apply, gradients, variables, _):
    """Gradients and parameters zipped in different orders, where shapes allow."""
    shapes = [tuple(v.shape) for v in variables]
    first = shapes.index(next(s for s in shapes if shapes.count(s) > 1))
    second = shapes.index(shapes[first], first + 1)
    gradients[first], gradients[second] = gradients[second], gradients[first]
    apply(gradients, variables)


def _last_left_out(apply, gradients, variables, _):
    apply(gradients[:-1], variables[:-1])


def _decayed_away(apply, gradients, variables, _):
    """The parameters moved by the update, and by an average of them afterwards."""
    before = [tf.identity(v) for v in variables]
    apply(gradients, variables)
    for variable, old in zip(variables, before, strict=True):
        variable.assign(0.999 * variable + 0.001 * old)


def _trained(layer: str, attribute: str, trainable: bool) -> Planting:
    """A parameter frozen, or not frozen, that should be the other."""

    def change(model):
        found = next(each for each in model.layers if each.name == layer)
        getattr(found, attribute).trainable = trainable

    return lambda plant: plant.network(change)


FAULTS = (
    fault(
        "batch-rolled", "images moved on by one against their labels", "gap data-loader-shuffle",
        eager("lenet", "input", _inputs(lambda x: np.roll(x, 1, 0))),
        eager("mlp", "input", _inputs(lambda x: np.roll(x, 1, 0))),
    ),
    fault(
        "targets-rolled", "labels moved on by one against their images", "gap data-loader-shuffle",
        eager("lenet", "loss", _targets(lambda y: np.roll(y, 1, 0))),
        eager("cifar", "loss", _targets(lambda y: np.roll(y, 1, 0))),
    ),
    fault(
        "batch-reversed", "images and labels together in another order, which leaves the loss as it is",
        "gap data-loader-shuffle",
        eager("cifar", "input", lambda plant: plant.batch(lambda x, y: (x[::-1].copy(), y[::-1].copy()))),
        eager("small-train", "input", lambda plant: plant.batch(lambda x, y: (x[::-1].copy(), y[::-1].copy()))),
    ),
    fault(
        "labels-off-by-one", "classes counted from 1", "gap data-datasets-layout",
        eager("cifar", "loss", _targets(lambda y: (y + 1) % 10)),
        eager("mnist", "loss", _targets(lambda y: (y + 1) % 10)),
    ),
    fault(
        "images-transposed", "height and width of square images exchanged", "gap data-totensor",
        eager("lenet", "input", _inputs(lambda x: x.swapaxes(2, 3))),
        eager("cifar", "input", _inputs(lambda x: x.swapaxes(2, 3))),
    ),
    fault(
        "images-reshaped", "N, C, H, W reshaped to N, H, W, C, not transposed", "gap data-totensor",
        eager("cifar", "input", _inputs(_read_as_last)),
        eager("small", "input", _inputs(_read_as_last)),
    ),
    fault(
        "images-bgr", "colors in the order of OpenCV", "gap data-totensor",
        eager("cifar", "input", _inputs(lambda x: x[:, ::-1])),
        eager("small", "input", _inputs(lambda x: x[:, ::-1])),
    ),
    fault(
        "images-flipped", "an augmentation of the training set left in", "gap data-hflip",
        eager("lenet-sample", "input", _inputs(lambda x: x[..., ::-1])),
        eager("cifar-sample", "input", _inputs(lambda x: x[..., ::-1])),
    ),
    fault(
        "pixels-not-scaled", "0–255 for ToTensor's 0–1", "gap data-totensor",
        eager("lenet-sample", "input", _transform("to_tensor", lambda to, x: to(x) * np.float32(255))),
        eager("mlp-sample", "input", _transform("to_tensor", lambda to, x: to(x) * np.float32(255))),
    ),
    fault(
        "pixels-scaled-by-256", "divided by 256, not 255", "gap data-totensor",
        eager("lenet-sample", "input", _transform("to_tensor", lambda to, x: x.astype(np.float32) / np.float32(256))),
        eager("mnist-sample", "input", _transform("to_tensor", lambda to, x: x.astype(np.float32) / np.float32(256))),
    ),
    fault(
        "normalize-lost", "Normalize left out", "gap data-normalize",
        eager("cifar-sample", "input", _transform("normalize", lambda _, x, mean, std: x)),
        eager("mnist-sample", "input", _transform("normalize", lambda _, x, mean, std: x)),
    ),
    fault(
        "normalize-by-variance", "Normalize's deviation taken for a variance", "gap normalization-layer",
        eager("cifar-sample", "input", _transform("normalize", lambda to, x, m, s: to(x, m, tuple(np.sqrt(s))))),
        eager("mnist-sample", "input", _transform("normalize", lambda to, x, m, s: to(x, m, tuple(np.sqrt(s))))),
    ),
    fault(
        "normalize-other-set", "the mean and deviation of another data set", "gap data-normalize-05",
        eager("cifar-sample", "input", _transform("normalize", lambda to, x, *_: to(x, (0.1307,), (0.3081,)))),
        eager("mnist-sample", "input", _transform("normalize", lambda to, x, *_: to(x, (0.5,), (0.5,)))),
    ),
    fault(
        "gradients-accumulated", "zero_grad forgotten: each step takes the sum of all gradients", "gap grad-accumulate",
        eager("lenet", "step2:param:*", _updates(_accumulating)),
        eager("mnist", "step2:param:*", _updates(_accumulating)),
    ),
    fault(
        "gradients-stale", "each step takes the gradients of the step before", "gap grad-accumulation",
        eager("lenet", "step2:param:*", _updates(_stale)),
        eager("mlp", "step2:param:*", _updates(_stale)),
    ),
    fault(
        "gradients-by-position", "gradients and parameters zipped in different orders", "gap opt-order-of-params",
        eager("mlp", "step1:param:linear_relu_stack.0.bias", _updates(_by_position)),
        eager("small", "step1:param:bn1.weight", _updates(_by_position)),
    ),
    fault(
        "step-twice", "two updates a step", "gap grad-accumulation",
        eager("lenet", "step1:param:*", _updates(_twice)),
        eager("mnist", "step1:param:*", _updates(_twice)),
    ),
    fault(
        "step-late", "no update in the first step", "gap opt-sgd-plain",
        eager("lenet", "step1:param:*", _updates(_late)),
        eager("cifar", "step1:param:*", _updates(_late)),
    ),
    fault(
        "step-uphill", "the gradient added", "gap opt-maximize",
        eager("lenet", "step1:param:*", _updates(_uphill)),
        eager("mnist", "step1:param:*", _updates(_uphill)),
    ),
    fault(
        "step-averaged", "an exponential moving average left on: use_ema", "gap ema-swa",
        eager("lenet", "step1:param:*", _updates(_decayed_away)),
        eager("mlp", "step1:param:*", _updates(_decayed_away)),
    ),
    fault(
        "step-without-one", "one parameter not given to the optimizer", "gap opt-param-groups",
        eager("lenet", "step1:param:fc3.bias", _updates(_last_left_out)),
        eager("mlp", "step1:param:linear_relu_stack.4.bias", _updates(_last_left_out)),
    ),
    fault(
        "frozen-layer-trained", "requires_grad=False not carried over", "gap requires-grad-propagation",
        eager("small-frozen", "grad:conv3.weight", _trained("conv3", "kernel", True), "expected an absent gradient"),
        eager("small-frozen", "grad:bn1.bias", _trained("bn1", "beta", True), "expected an absent gradient"),
    ),
    fault(
        "trained-layer-frozen", "a parameter frozen that PyTorch trains", "gap requires-grad-propagation",
        eager("lenet", "grad:fc3.bias", _trained("fc3", "bias", False), "the port has an absent gradient"),
        eager("small-frozen", "grad:fc1.weight", _trained("fc1", "_kernel", False), "the port has an absent gradient"),
    ),
    survivor(
        "grey-images-reshaped", "N, C, H, W reshaped to N, H, W, C, not transposed, of images with one channel",
        "with C = 1 both have the same values in the same order",
        eager("lenet", "", _inputs(_read_as_last)),
        eager("mnist", "", _inputs(_read_as_last)),
    ),
)  # fmt: skip
