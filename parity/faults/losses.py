"""Losses that reduce, smooth, weigh or saturate differently."""

from collections.abc import Callable

import keras
import tensorflow as tf

from keras_blitz import losses
from keras_blitz.losses import binary
from keras_blitz.losses.base import Loss
from keras_blitz.losses.classes import _ClassLoss
from parity.faults.calls import bent
from parity.faults.fault import Place, eager, fault
from parity.faults.plant import Plant

Planting = Callable[[Plant], None]


def _loss(case: str, plant: Planting, says: str = "") -> Place:
    return eager(case, "loss", plant, says)


def _gradient(case: str, plant: Planting) -> Place:
    return eager(case, "grad:x", plant)


def _options(kind: type, **changed) -> Planting:
    """Other options than those that were asked for."""
    return lambda plant: plant.arguments(kind, **changed)


def _method(kind: type, name: str, function: Callable) -> Planting:
    return lambda plant: plant.around(kind, name, function)


def _softmax_twice(original, self, y_true, y_pred, *rest):
    return original(self, y_true, tf.nn.softmax(y_pred), *rest)


def _over(axis: int):
    """Softmax over another axis."""

    def call(original, self, y_true, y_pred):
        shift = tf.reduce_logsumexp(y_pred, -1, keepdims=True) - tf.reduce_logsumexp(y_pred, axis, keepdims=True)
        return original(self, y_true, y_pred) - tf.reduce_sum(shift, -1)

    return call


def _count(original, self, y_true, y_pred, per_loss):
    return tf.size(per_loss)


def _all_values(original, self, y_true, y_pred, per_loss):
    return tf.size(y_pred)


def _by_sample(original, self, y_true, y_pred, *rest):
    """Keras's sum: of the means of the samples."""
    return original(self, y_true, y_pred, *rest) / tf.cast(y_pred.shape[-1], y_pred.dtype)


def _scaled(factor: float):
    return lambda original, self, *args: original(self, *args) * factor


def _smoothed_over_others(original, self, y_true, y_pred):
    """ε/(C − 1) for the other classes, none for the class itself: ε grows by C/(C − 1)."""
    before, classes = self.label_smoothing, y_pred.shape[-1]
    self.label_smoothing = before * classes / (classes - 1)
    try:
        return original(self, y_true, y_pred)
    finally:
        self.label_smoothing = before


def _ignored_as_first(original, self, y_true, y_pred):
    """No class is ignored: the label is clipped into the range."""
    before, ignored = self.ignore_index, self.ignore_index
    self.ignore_index = -12345
    try:
        return original(self, tf.where(y_true == ignored, tf.zeros_like(y_true), y_true), y_pred)
    finally:
        self.ignore_index = before


def _assuming_shares(original, self, y_true, y_pred):
    """The gradient of a softmax cross entropy as softmax − y, which holds where y sums to 1."""
    if y_true.shape.rank != y_pred.shape.rank:
        return original(self, y_true, y_pred)
    normal = tf.stop_gradient(y_true / tf.reduce_sum(y_true, -1, keepdims=True))
    bend = original(self, normal, y_pred)
    return original(self, y_true, tf.stop_gradient(y_pred)) + bend - tf.stop_gradient(bend)


def _normalized_again(original, self, y_true, y_pred):
    """from_logits=True on log-probabilities: the right value, the gradient of the logits."""
    return original(self, y_true, tf.nn.log_softmax(y_pred))


def _keras_clip(_, p, y):
    return _written(tf.clip_by_value(p, 1e-7, 1 - 1e-7), y)


def _written(p, y, pos_weight=1.0):
    """The binary cross entropy of probabilities as its formula is written."""
    return -(pos_weight * y * tf.math.log(p) + (1 - y) * tf.math.log(1 - p))


def _derived(original, p, y):
    """The derivative of the clamped logarithm for PyTorch's own formula."""
    floor = tf.constant(-100, p.dtype)
    value = original(p, y)
    own = (y - 1) * tf.maximum(tf.math.log1p(-p), floor) - y * tf.maximum(tf.math.log(p), floor)
    return own + tf.stop_gradient(value - own)


def _probabilities(_, self, y_true, y_pred):
    """Logits through a sigmoid and Keras's clip."""
    p = tf.clip_by_value(tf.sigmoid(y_pred), 1e-7, 1 - 1e-7)
    return self._weighted(_written(p, tf.cast(y_true, p.dtype), self.pos_weight))


def _unstable_sigmoid(_, self, y_true, y_pred):
    return self._weighted(_written(tf.sigmoid(y_pred), tf.cast(y_true, y_pred.dtype), self.pos_weight))


def _unstable_softmax(original, self, y_true, y_pred):
    exponents = tf.exp(y_pred)
    p = exponents / tf.reduce_sum(exponents, -1, keepdims=True)
    return -self._picked(self._indices(y_true, y_pred), self._weighted(tf.math.log(p)))


def _positive_on_both(original, self, y_true, y_pred):
    """pos_weight multiplies both parts."""
    weight, self.pos_weight = self.pos_weight, None
    try:
        return original(self, y_true, y_pred) * tf.constant(weight, y_pred.dtype)
    finally:
        self.pos_weight = weight


def _no_upstream(original, self, y_true, y_pred, *rest):
    """Unreduced losses whose gradient is that of their mean."""
    found = original(self, y_true, y_pred, *rest)
    return bent(lambda upstream: tf.ones_like(upstream) / tf.cast(tf.size(upstream), upstream.dtype))(found)


def _summed_gradient(original, self, y_true, y_pred, *rest):
    """The loss is a mean, and the gradient that of the sum."""
    size = tf.cast(y_pred.shape[0], y_pred.dtype)
    return bent(lambda upstream: upstream * size)(original(self, y_true, y_pred, *rest))


def _unweighted_smoothing(original, self, y_true, y_pred):
    """Smoothing spread over the classes by sample weights: w[y] for each class's own."""
    log = -tf.nn.log_softmax(y_pred)
    target = self._indices(y_true, y_pred)
    shares = self._picked(target, self._weighted(tf.ones_like(y_pred)))
    own = self._picked(target, log)
    e = self.label_smoothing
    others = tf.reduce_mean(log, -1)
    return shares * ((1 - e) * own + e * tf.where(target == self.ignore_index, tf.zeros_like(others), others))


def _keras_loss(name: str, **changed) -> Planting:
    return lambda plant: plant.arguments(getattr(keras.losses, name), **changed)


CE, SPARSE = losses.CrossEntropyLoss, keras.losses.SparseCategoricalCrossentropy

FAULTS = (
    fault(
        "sum-for-mean", "reduction='sum' for the mean", "gap mse-reduction",
        _loss("cross-entropy-mean", _options(CE, reduction="sum")),
        _loss("lenet", _keras_loss("MeanSquaredError", reduction="sum")),
        _loss("cifar", _keras_loss("SparseCategoricalCrossentropy", reduction="sum")),
    ),
    fault(
        "mean-for-sum", "the mean for reduction='sum'", "gap mse-reduction",
        _loss("mse-sum", _options(losses.MSELoss, reduction="mean")),
        _loss("nll-sum", _options(losses.NLLLoss, reduction="mean")),
    ),
    fault(
        "sum-of-means", "reduction='sum' of the samples' means, as Keras has it", "gap mse-reduction",
        _loss("mse-sum", _method(losses.MSELoss, "call", _by_sample)),
        _loss("bce-sum", _method(losses.BCELoss, "call", _by_sample)),
    ),
    fault(
        "mean-over-classes", "the mean over all logits for that over the batch", "gap ce-spatial",
        _loss("cross-entropy-mean", _method(CE, "divisor", _all_values)),
        _loss("nll-mean", _method(_ClassLoss, "divisor", _all_values)),
    ),
    fault(
        "half-squared-error", "½(x − y)², as textbooks have it", "gap mse-reduction",
        _loss("mse-mean", _method(losses.MSELoss, "call", _scaled(0.5))),
        _loss("mse-none", _method(losses.MSELoss, "call", _scaled(0.5))),
    ),
    fault(
        "softmax-twice", "softmax, and a loss that takes it of what it is given", "gap ce-logits",
        _loss("cross-entropy-mean", _method(CE, "call", _softmax_twice)),
        _loss("mnist", _method(SPARSE, "__call__", _softmax_twice)),
    ),
    fault(
        "from-logits-lost", "from_logits=False for logits", "gap ce-logits",
        _loss("cifar", _keras_loss("SparseCategoricalCrossentropy", from_logits=False)),
        _loss("mlp", _keras_loss("SparseCategoricalCrossentropy", from_logits=False)),
    ),
    fault(
        "softmax-over-the-batch", "softmax over another axis than the classes'", "gap softmax-implicit-dim",
        _loss("cross-entropy-mean", _method(CE, "call", _over(0))),
        _loss("cross-entropy-maps", _method(CE, "call", _over(1))),
    ),
    fault(
        "smoothing-lost", "label_smoothing not carried over", "gap ce-label-smoothing",
        _loss("cross-entropy-smoothed", _options(CE, label_smoothing=0.0)),
        _loss("cross-entropy-shares", _options(CE, label_smoothing=0.0)),
    ),
    fault(
        "smoothing-over-the-others", "ε/(C − 1) for the other classes, for ε/C of all", "gap ce-label-smoothing",
        _loss("cross-entropy-smoothed", _method(CE, "call", _smoothed_over_others)),
        _loss("cross-entropy-shares", _method(CE, "call", _smoothed_over_others)),
    ),
    fault(
        "smoothing-weighted-by-target", "smoothing and class weights as sample weights", "gap ce-weight-smoothing",
        _loss("cross-entropy-smoothed", _method(CE, "call", _unweighted_smoothing)),
        _loss("cross-entropy-smoothed-sum", _method(CE, "call", _unweighted_smoothing)),
    ),
    fault(
        "weights-lost", "class weights not carried over", "gap ce-class-weight",
        _loss("cross-entropy-weighted-sum", _options(CE, weight=None)),
        _loss("nll-weighted", _options(losses.NLLLoss, weight=None)),
        _loss("bce-mean", _options(losses.BCELoss, weight=None)),
    ),
    fault(
        "weighted-mean-by-count", "the weighted sum divided by N, as class_weight has it", "gap ce-class-weight",
        _loss("cross-entropy-weighted-mean", _method(CE, "divisor", _count)),
        _loss("nll-weighted", _method(_ClassLoss, "divisor", _count)),
    ),
    fault(
        "ignored-counted", "ignored labels counted in the mean", "gap ce-ignore-index",
        _loss("cross-entropy-ignore-index", _method(CE, "divisor", _count)),
        _loss("cross-entropy-maps", _method(CE, "divisor", _count)),
    ),
    fault(
        "ignored-as-a-class", "labels to be ignored clipped into the range", "gap ce-ignore-index",
        _loss("cross-entropy-weighted-none", _method(CE, "call", _ignored_as_first)),
        _loss("nll-weighted", _method(losses.NLLLoss, "call", _ignored_as_first)),
    ),
    fault(
        "shares-normalized-gradient", "softmax − y for targets that do not sum to 1", "gap ce-soft-targets",
        _gradient("cross-entropy-shares", _method(CE, "call", _assuming_shares)),
        _gradient("cross-entropy-shares-sum", _method(CE, "call", _assuming_shares)),
    ),
    fault(
        # Log-probabilities of float32 values do not quite sum to 1: the value is 5e-10 off, too.
        "log-probabilities-as-logits", "a cross entropy for NLLLoss, whose gradient is another", "gap nll",
        _loss("nll-mean", _method(losses.NLLLoss, "call", _normalized_again)),
        _loss("nll-sum", _method(losses.NLLLoss, "call", _normalized_again)),
    ),
    fault(
        "probabilities-clipped", "Keras's clip to 1e-7 for PyTorch's log of at least −100", "gap bce-clamp",
        _loss("bce-certain", lambda plant: plant.around(binary, "_binary_cross_entropy", _keras_clip)),
        _loss("bce-logits-100", _method(losses.BCEWithLogitsLoss, "call", _probabilities)),
    ),
    fault(
        "bce-gradient-derived", "the derivative of the clamped logarithm for PyTorch's own formula", "gap bce-clamp",
        _gradient("bce-certain", lambda plant: plant.around(binary, "_binary_cross_entropy", _derived)),
        _gradient("bce-certain-sum", lambda plant: plant.around(binary, "_binary_cross_entropy", _derived)),
    ),
    fault(
        "log-of-sigmoid", "log(σ(x)) and log(softmax(x)) computed as they are written", "gap log-softmax-stable",
        _loss("bce-logits-100", _method(losses.BCEWithLogitsLoss, "call", _unstable_sigmoid), "NaN or infinite"),
        # Logits of ±100: float64 still holds their exponents, float32 does not.
        Place("cross-entropy-100-float32-graph", "loss", _method(CE, "call", _unstable_softmax), "NaN or infinite"),
    ),
    fault(
        "pos-weight-lost", "pos_weight not carried over", "gap bce-with-logits",
        _loss("bce-logits-mean", _options(losses.BCEWithLogitsLoss, pos_weight=None)),
        _loss("bce-logits-100", _options(losses.BCEWithLogitsLoss, pos_weight=None)),
    ),
    fault(
        "pos-weight-on-both", "pos_weight taken for a weight of both parts", "gap bce-with-logits",
        _loss("bce-logits-mean", _method(losses.BCEWithLogitsLoss, "call", _positive_on_both)),
        _loss("bce-logits-sum", _method(losses.BCEWithLogitsLoss, "call", _positive_on_both)),
    ),
    fault(
        "upstream-lost", "what comes back from what follows unreduced losses left out", "gap grad-nonscalar",
        eager("mse-none", "grad:y", _method(Loss, "__call__", _no_upstream)),
        _gradient("cross-entropy-none", _method(Loss, "__call__", _no_upstream)),
    ),
    fault(
        "gradient-of-the-sum", "a mean whose gradient is that of the sum", "gap mean-loss-scale",
        _gradient("cross-entropy-mean", _method(Loss, "__call__", _summed_gradient)),
        eager("bce-mean", "grad:y", _method(Loss, "__call__", _summed_gradient)),
        eager("cifar", "grad:fc3.bias", _method(SPARSE, "__call__", _summed_gradient)),
    ),
)  # fmt: skip
