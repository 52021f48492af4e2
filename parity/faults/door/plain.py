"""Right pairs of dense networks: losses, optimizers, and what is set outside a layer's constructor."""

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import torch
from keras import layers
from torch import nn

from keras_blitz import losses, optim
from parity.faults.door.handed import Handed


def numbers(*shape: int) -> np.ndarray:
    """Return normal numbers, the same for each shape of as many axes."""
    return np.random.RandomState(len(shape)).randn(*shape).astype("float32")


def labels(count: int, classes: int) -> np.ndarray:
    """Return class indices."""
    return np.random.RandomState(3).randint(0, classes, count)


def sgd(rate: float, **options) -> tuple:
    """Return PyTorch's SGD and Keras's, of the same settings."""
    return partial(torch.optim.SGD, lr=rate, **options), keras.optimizers.SGD(rate, **options)


def mse() -> tuple:
    """Return both mean squared errors."""
    return nn.MSELoss(), keras.losses.MeanSquaredError()


def cross_entropy() -> tuple:
    """Return both cross entropies of logits and class indices."""
    return nn.CrossEntropyLoss(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def dense_sides(**first) -> tuple:
    """Return two dense layers with a tanh between on both sides, where no unit is dead and no gradient exactly zero.

    Args:
        first: other arguments of the first Keras layer.
    """
    module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="tanh", name="fc1", **first), layers.Dense(3, name="fc2")]
    )
    return module, model


def mlp() -> Handed:
    """Sequential, ReLU, mean squared error, SGD."""
    module = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="relu", name="fc1"), layers.Dense(3, name="fc2")]
    )
    options = {"loss": mse(), "target": numbers(7, 3), "optimizer": sgd(0.1), "steps": 2}
    return Handed(module, model, numbers(7, 5), options)


def mlp_forward() -> Handed:
    """The same without a loss."""
    handed = mlp()
    return Handed(handed.module, handed.model, handed.inputs)


def mlp_momentum() -> Handed:
    """Functional, cross entropy, SGD with momentum."""
    module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
    given = keras.Input((5,))
    x = layers.Activation("tanh", name="tanh")(layers.Dense(8, name="fc1")(given))
    model = keras.Model(given, layers.Dense(3, name="fc2")(x))
    options = {"loss": cross_entropy(), "target": labels(7, 3), "optimizer": sgd(0.1, momentum=0.9), "steps": 3}
    return Handed(module, model, numbers(7, 5), options)


def mlp_nesterov() -> Handed:
    """Nesterov's momentum, which Keras and PyTorch write alike."""
    module, model = dense_sides()
    options = {"loss": mse(), "target": numbers(7, 3), "optimizer": sgd(0.1, momentum=0.8, nesterov=True), "steps": 3}
    return Handed(module, model, numbers(7, 5), options)


def mlp_adam() -> Handed:
    """keras_blitz's Adam, whose eps is where PyTorch's is."""
    module, model = dense_sides()
    pair = (partial(torch.optim.Adam, lr=0.01), optim.Adam(lr=0.01))
    return Handed(
        module, model, numbers(7, 5), {"loss": cross_entropy(), "target": labels(7, 3), "optimizer": pair, "steps": 3}
    )


def mlp_keras_adam() -> Handed:
    """Keras's own Adam, with an eps so small that its place does not matter; its float32 is coarser than PyTorch's."""
    module, model = dense_sides()
    pair = (partial(torch.optim.Adam, lr=0.01, eps=1e-20), keras.optimizers.Adam(0.01, epsilon=1e-20))
    options = {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 3, "dtypes": ("float64",)}
    return Handed(module, model, numbers(7, 5), options)


def decay_groups(parameters, make, decay: float):
    """Return PyTorch's optimizer with weight decay on matrices alone."""
    parameters = list(parameters)
    wide = [one for one in parameters if one.ndim > 1]
    return make([{"params": wide, "weight_decay": decay}, {"params": [p for p in parameters if p.ndim < 2]}])


def mlp_adamw_groups() -> Handed:
    """keras_blitz's AdamW with a group without decay."""
    module = nn.Sequential(nn.Linear(5, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3))
    model = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(8, name="0"),
            layers.LayerNormalization(epsilon=1e-5, name="1"),
            layers.ReLU(),
            layers.Dense(3, name="3"),
        ]
    )
    groups = [("*.bias", {"weight_decay": 0.0}), ("1.*", {"weight_decay": 0.0})]
    theirs = partial(decay_groups, make=partial(torch.optim.AdamW, lr=0.01, weight_decay=0.0), decay=0.5)
    pair = (theirs, lambda: optim.AdamW(lr=0.01, weight_decay=0.5, groups=groups))
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 3})


def excluded() -> Handed:
    """Keras's SGD with decay, biases excluded; without momentum its decay is PyTorch's."""
    module, model = dense_sides()
    ours = keras.optimizers.SGD(0.1, weight_decay=0.2)
    ours.exclude_from_weight_decay(var_names=["bias"])
    pair = (partial(decay_groups, make=partial(torch.optim.SGD, lr=0.1), decay=0.2), ours)
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 2})


def l2_half() -> Handed:
    """`l2(decay / 2)`, which is PyTorch's weight decay."""
    decay = 0.2
    module, model = dense_sides(kernel_regularizer=keras.regularizers.L2(decay / 2))

    def theirs(parameters):
        first, *others = parameters
        return torch.optim.SGD([{"params": [first], "weight_decay": decay}, {"params": others}], lr=0.1)

    pair = (theirs, keras.optimizers.SGD(0.1))
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 2})


def frozen() -> Handed:
    """The first layer is frozen on both sides."""
    module, model = dense_sides()
    module[0].requires_grad_(False)
    model.get_layer("fc1").trainable = False
    theirs = partial(_of_trainable, partial(torch.optim.SGD, lr=0.1))
    pair = (theirs, keras.optimizers.SGD(0.1))
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 2})


def _of_trainable(make, parameters):
    return make([one for one in parameters if one.requires_grad])


def loss_scaled() -> Handed:
    """A loss scaled up and its gradients down again."""
    module, model = dense_sides()
    pair = (partial(torch.optim.SGD, lr=0.1), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)))
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 2})


class Scaled(keras.losses.Loss):
    """A user's own loss, without a `get_config`."""

    def __init__(self, factor: float = 1.0):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        """Return the mean squared error of each example, times the factor."""
        return self.factor * tf.reduce_mean((y_true - y_pred) ** 2, -1)


def own_loss() -> Handed:
    """A Loss subclass with an attribute."""
    module, model = dense_sides()
    theirs = nn.MSELoss()
    loss = (lambda output, target: 3 * theirs(output, target), Scaled(3.0))
    return Handed(module, model, numbers(7, 5), {"loss": loss, "target": numbers(7, 3)})


class Times(layers.Layer):
    """A user's own layer, without a `get_config`; its factor is set after construction."""

    def __init__(self, **options):
        super().__init__(**options)
        self.factor = 1.0

    def call(self, x):
        """Return x times the factor."""
        return x * self.factor


class Doubled(nn.Module):
    """PyTorch's side of `own_layer`."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x):
        """Return the logits."""
        return self.b(torch.tanh(self.a(x)) * 2.0)


def own_layer() -> Handed:
    """A layer without a configuration of its own, an attribute of which is set after construction."""
    given = keras.Input((5,))
    x = layers.Dense(8, activation="tanh", name="a")(given)
    model = keras.Model(given, layers.Dense(3, name="b")(Times(name="times")(x)))
    model.get_layer("times").factor = 2.0
    return Handed(Doubled(), model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3)})


class NormBlock(layers.Layer):
    """A user's own block, whose epsilon is set after construction."""

    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.norm = layers.Dense(6, name="dense"), layers.LayerNormalization(epsilon=1e-3, name="norm")

    def call(self, x):
        """Return the normalized product."""
        return self.norm(self.dense(x))


def epsilon_set_afterwards() -> Handed:
    """A block whose epsilon is set to PyTorch's after construction."""
    module = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6))
    given = keras.Input((5,))
    model = keras.Model(given, NormBlock(name="block")(given))
    model.get_layer("block").norm.epsilon = 1e-5
    return Handed(module, model, numbers(7, 5))


class Standardized(nn.Module):
    """Inputs less a mean, divided by a deviation, then a linear layer."""

    def __init__(self, mean: np.ndarray, variance: np.ndarray):
        super().__init__()
        self.mean, self.variance = torch.tensor(mean), torch.tensor(variance)
        self.fc = nn.Linear(len(mean), 3)

    def forward(self, x):
        """Return the logits."""
        return self.fc((x - self.mean.to(x.dtype)) / self.variance.to(x.dtype).sqrt())


def adapted() -> Handed:
    """A Normalization adapted to the data, its statistics as constants in PyTorch."""
    given = numbers(7, 5)
    norm = layers.Normalization(name="norm")
    norm.adapt(given)
    model = keras.Sequential([keras.Input((5,)), norm, layers.Dense(3, name="fc")])
    statistics = [value.numpy().reshape(-1) for value in (norm.adapt_mean, norm.adapt_variance)]
    return Handed(Standardized(*statistics), model, given)


def binary() -> Handed:
    """Binary cross entropy of logits."""
    module = nn.Sequential(nn.Linear(5, 8), nn.Sigmoid(), nn.Linear(8, 1))
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation="sigmoid", name="fc1"), layers.Dense(1, name="fc2")]
    )
    loss = (nn.BCEWithLogitsLoss(), keras.losses.BinaryCrossentropy(from_logits=True))
    target = labels(7, 2).reshape(7, 1).astype("float32")
    options = {"loss": loss, "target": target, "optimizer": sgd(0.5), "steps": 2}
    return Handed(module, model, numbers(7, 5), options)


def probabilities() -> Handed:
    """Softmax in both networks, and the negative logarithm of the target's probability as the loss."""
    module = nn.Sequential(nn.Linear(5, 4), nn.LogSoftmax(-1))
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, name="fc"), layers.Activation("log_softmax")])

    def ours(target, output):
        return -tf.reduce_mean(tf.gather(output, tf.cast(target, "int32"), axis=1, batch_dims=1))

    return Handed(module, model, numbers(7, 5), {"loss": (nn.NLLLoss(), ours), "target": labels(7, 4)})


def smoothed() -> Handed:
    """Label smoothing, with one-hot targets on both sides."""
    module, model = dense_sides()
    ours = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    target = np.eye(3, dtype="float32")[labels(7, 3)]
    loss = (nn.CrossEntropyLoss(label_smoothing=0.1), ours)
    return Handed(module, model, numbers(7, 5), {"loss": loss, "target": target})


def class_weights() -> Handed:
    """A weight for each class, on both sides."""
    module, model = dense_sides()
    weight = [0.5, 1.0, 3.0]
    loss = (nn.CrossEntropyLoss(weight=torch.tensor(weight)), losses.CrossEntropyLoss(weight=np.array(weight)))
    return Handed(module, model, numbers(7, 5), {"loss": loss, "target": labels(7, 3)})


def ignored_class() -> Handed:
    """Some targets are ignored, on both sides."""
    module, model = dense_sides()
    target = labels(7, 3)
    target[2:4] = 1
    loss = (nn.CrossEntropyLoss(ignore_index=1), losses.CrossEntropyLoss(ignore_index=1))
    return Handed(module, model, numbers(7, 5), {"loss": loss, "target": target})


def compiled() -> Handed:
    """A model that is compiled, as before `fit`; its own optimizer is what is compared."""
    module, model = dense_sides()
    model.compile(optimizer=keras.optimizers.SGD(0.2, momentum=0.5), loss="mse")
    pair = (partial(torch.optim.SGD, lr=0.2, momentum=0.5), model.optimizer)
    return Handed(module, model, numbers(7, 5), {"loss": mse(), "target": numbers(7, 3), "optimizer": pair, "steps": 2})


def nested() -> Handed:
    """A model inside a model."""
    module = nn.Sequential(
        nn.Sequential(nn.Linear(5, 8), nn.Tanh()), nn.Sequential(nn.Linear(8, 6), nn.ELU(), nn.Linear(6, 3))
    )
    trunk = keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="tanh", name="a")], name="trunk")
    given = keras.Input((8,))
    x = layers.ELU(name="elu")(layers.Dense(6, name="b")(given))
    head = keras.Model(given, layers.Dense(3, name="c")(x), name="head")
    whole = keras.Input((5,))
    options = {"loss": mse(), "target": numbers(7, 3), "optimizer": sgd(0.1), "steps": 2}
    return Handed(module, keras.Model(whole, head(trunk(whole))), numbers(7, 5), options)


def kept() -> Handed:
    """The user's own converter has filled the Keras model."""
    module, model = dense_sides()
    for layer, linear in ((model.layers[0], module[0]), (model.layers[1], module[2])):
        layer.set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    return Handed(module, model, numbers(7, 5), {"weights": "keep"})


def square_kept() -> Handed:
    """Two layers of one shape, their kernels square, filled by the user's own converter."""
    module: Any = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, activation="tanh", name="fc1"), layers.Dense(4, name="fc2")]
    )
    for layer, linear in ((model.layers[0], module[0]), (model.layers[1], module[2])):
        layer.set_weights([linear.weight.detach().numpy().T, linear.bias.detach().numpy()])
    return Handed(module, model, numbers(7, 4), {"weights": "keep"})


def no_bias_forward() -> Handed:
    """A linear map, forward only."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, use_bias=False, name="fc")])
    return Handed(nn.Sequential(nn.Linear(5, 3, bias=False)), model, numbers(7, 5), {"loss": False})


class Difference(nn.Module):
    """Two inputs of one shape."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(5, 4), nn.Linear(5, 4)

    def forward(self, one, other):
        """Return what distinguishes the two."""
        return self.left(one) - 2 * self.right(other)


def difference() -> Handed:
    """Two inputs of one shape."""
    one, other = keras.Input((5,), name="one"), keras.Input((5,), name="other")
    model = keras.Model([one, other], layers.Dense(4, name="left")(one) - 2 * layers.Dense(4, name="right")(other))
    return Handed(Difference(), model, (numbers(7, 5), numbers(7, 5) ** 2))


class Branches(nn.Module):
    """Two layers of one shape."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        """Return what distinguishes the two."""
        return self.first(x) - 2 * self.second(x)


def mapped() -> Handed:
    """Two layers of one shape, paired by hand."""
    given = keras.Input((4,))
    one, two = layers.Dense(4, name="one"), layers.Dense(4, name="two")
    model = keras.Model(given, one(given) - 2 * two(given))
    return Handed(Branches(), model, numbers(7, 4), {"weights": {"first": "one", "second": "two"}})


class WithAuxiliary(nn.Module):
    """A main output and one of an inner layer, as Inception's."""

    def __init__(self):
        super().__init__()
        self.trunk, self.main, self.aux = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        """Return (main, auxiliary)."""
        h = torch.tanh(self.trunk(x))
        return self.main(h), self.aux(h)


def auxiliary() -> Handed:
    """Two outputs, the auxiliary one's loss weighted."""
    given = keras.Input((5,))
    h = layers.Dense(8, activation="tanh", name="trunk")(given)
    model = keras.Model(given, [layers.Dense(3, name="main")(h), layers.Dense(3, name="aux")(h)])
    return Handed(WithAuxiliary(), model, numbers(7, 5), {"loss": auxiliary_loss(0.3), "target": labels(7, 3)})


def auxiliary_loss(weight: float) -> tuple:
    """Return main + 0.3 auxiliary in PyTorch, and Keras's with this weight."""
    theirs = nn.CrossEntropyLoss()

    def ours(target, output):
        return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(target, output, from_logits=True))

    return (
        lambda output, target: theirs(output[0], target) + 0.3 * theirs(output[1], target),
        lambda target, output: ours(target, output[0]) + weight * ours(target, output[1]),
    )


class TwoHeads(nn.Module):
    """Two inputs, and two outputs by name."""

    def __init__(self):
        super().__init__()
        self.image, self.facts = nn.Conv2d(1, 4, 3), nn.Linear(5, 4)
        self.label, self.value = nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, picture, facts):
        """Return the label's logits and the value."""
        seen = self.image(picture).mean((2, 3))
        both = torch.cat([nn.functional.gelu(seen), torch.tanh(self.facts(facts))], 1)
        return {"label": self.label(both), "value": self.value(both)}


def two_heads() -> Handed:
    """Two inputs and two outputs."""
    picture, facts = keras.Input((9, 7, 1), name="picture"), keras.Input((5,), name="facts")
    seen = layers.GlobalAveragePooling2D(name="mean")(layers.Conv2D(4, 3, name="conv")(picture))
    about = layers.Dense(4, activation="tanh", name="facts_dense")(facts)
    both = layers.Concatenate(name="both")([layers.Activation("gelu", name="gelu")(seen), about])
    outputs = {"label": layers.Dense(3, name="to_label")(both), "value": layers.Dense(1, name="to_value")(both)}
    return Handed(TwoHeads(), keras.Model([picture, facts], outputs), (numbers(3, 1, 9, 7), numbers(3, 5)))


def dict_inputs() -> Handed:
    """The same inputs by name, in the other order."""
    handed = two_heads()
    picture, facts = handed.inputs
    return Handed(handed.module, handed.model, {"facts": facts, "picture": picture})


PAIRS = (
    mlp, mlp_forward, mlp_momentum, mlp_nesterov, mlp_adam, mlp_keras_adam, mlp_adamw_groups, excluded, l2_half, frozen,
    loss_scaled, own_loss, own_layer, epsilon_set_afterwards, adapted, binary, probabilities, smoothed, class_weights,
    ignored_class, compiled, nested, kept, square_kept, no_bias_forward, difference, mapped,
    auxiliary, two_heads, dict_inputs,
)  # fmt: skip
