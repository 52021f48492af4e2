"""`torch.nn.CTCLoss`: sequences without an alignment."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import mask_of
from keras_blitz.losses.base import Loss, as_tensor
from keras_blitz.losses.elements import number


class _Targets(NamedTuple):
    """The target with its lengths, whole numbers."""

    labels: tf.Tensor  # (N, S)
    input_lengths: tf.Tensor  # (N,)
    lengths: tf.Tensor  # (N,)


@keras.saving.register_keras_serializable("keras_blitz")
class CTCLoss(Loss):
    """The connectionist temporal classification loss, given log-probabilities x.

    l = −log Σ_paths Π_t e^x[t, path[t]]        paths that give the target without blanks and repetitions
    ∂l/∂x[t, c] = e^x[t, c] − P(path[t] = c | target)
    mean:  Σ l / max(target length, 1) / N

    The gradient is PyTorch's, which holds for the logits before a log-softmax too; the derivative for x alone has no
    first term (gap ctc-log-probs-gradient: 1.0e+0). `keras.losses.CTC` takes logits, computes in float32 whatever the
    dtype (gap ctc-f64: 1.6e-7), takes the mean over the batch alone (gap ctc-mean-reduction: 1.4e+0), and a target too
    long for its input costs a large finite number (gap ctc-too-short). The recursion runs in the dtype of x, in log
    space.

    Args:
        blank: the class that stands for no label.
        reduction: "none", "mean" or "sum".
        zero_infinity: a target too long for its input costs 0 instead of infinity, and has no gradient.
        name: shown by Keras.

    Shapes:
        y_pred (N, T, C) or (T, C); PyTorch's layout is (T, N, C). y_true is (targets, input_lengths, target_lengths),
        as PyTorch takes them: targets (N, S), or all of them in one row; lengths (N,); for (T, C) targets (S,) and
        lengths (). Or y_true is the targets (N, S) alone, as `fit` hands them over: what comes after a blank or a
        negative number is not read, and every input is T long.

    Raises:
        BlitzError: shapes that do not fit or, in eager mode, lengths or labels out of range.

    Source: aten/src/ATen/native/LossCTC.cpp; Graves et al. 2006, "Connectionist Temporal Classification".
    """

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False, name: str | None = None):
        super().__init__(reduction, name)
        self.blank, self.zero_infinity = blank, zero_infinity

    def _checked(self, y_true: Any, y_pred: Any) -> tuple[Any, tf.Tensor]:
        if mask_of(y_pred) is not None:
            raise BlitzError(
                f"{self.name}: y_pred has a Keras mask, which PyTorch's losses do not have; pass input_lengths instead"
            )
        parts = tuple(as_tensor(part) for part in y_true) if isinstance(y_true, tuple) else (as_tensor(y_true),)
        if len(parts) not in (1, 3):
            raise BlitzError(f"{self.name}: y_true must be targets, or (targets, input_lengths, target_lengths)")
        y_pred = as_tensor(y_pred)
        for part in parts:
            self._check_tensors(part, y_pred)
        if y_pred.shape.rank not in (2, 3):
            raise BlitzError(f"{self.name}: y_pred must have shape (N, T, C) or (T, C), not {y_pred.shape}")
        return tuple(tf.cast(part, tf.int64) for part in parts), y_pred

    def call(self, y_true: tuple[tf.Tensor, ...], y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses (N,) or (), those of "mean" divided by the target's length."""
        single = y_pred.shape.rank == 2
        log_probs = y_pred[tf.newaxis] if single else y_pred
        targets = self._targets(tuple(part[tf.newaxis] for part in y_true) if single else y_true, log_probs)
        if tf.executing_eagerly():
            self._check_range(targets, log_probs)
        losses = _negative_log_likelihood(log_probs, targets, self.blank, self.zero_infinity)
        if self.reduction == "mean":
            losses /= tf.cast(tf.maximum(targets.lengths, 1), losses.dtype)
        return losses[0] if single else losses

    def _targets(self, y_true: tuple[tf.Tensor, ...], log_probs: tf.Tensor) -> _Targets:
        batch, steps = tf.shape(log_probs, tf.int64)[0], tf.shape(log_probs, tf.int64)[1]
        labels, *lengths = y_true
        if not lengths:
            is_label = tf.cast((labels >= 0) & (labels != self.blank), tf.int64)
            lengths = [tf.fill([batch], steps), tf.reduce_sum(tf.math.cumprod(is_label, -1), -1)]
        if any(length.shape.rank != 1 for length in lengths) or labels.shape.rank not in (
            (1, 2) if y_true[1:] else (2,)
        ):
            raise BlitzError(
                f"{self.name}: targets {labels.shape} and lengths {', '.join(str(one.shape) for one in lengths)} do not"
                f" fit y_pred {log_probs.shape}; targets must be (N, S) and lengths (N,)"
            )
        if labels.shape.rank == 1:
            # All targets in one row: each starts where the last ends.
            starts = tf.cumsum(lengths[1], exclusive=True)[:, tf.newaxis]
            places = starts + tf.range(tf.size(labels, tf.int64))
            labels = tf.gather(labels, tf.minimum(places, tf.maximum(tf.size(labels, tf.int64) - 1, 0)))
        return _Targets(labels, *lengths)

    def _check_range(self, targets: _Targets, log_probs: tf.Tensor) -> None:
        _, steps, classes = log_probs.shape
        labels, inputs, lengths = (part.numpy() for part in targets)
        for argument, values, most in (
            ("input_lengths", inputs, steps),
            ("target_lengths", lengths, labels.shape[1]),
            ("labels", labels[[[i < n for i in range(labels.shape[1])] for n in lengths]], classes - 1),
            ("blank", targets.lengths.numpy() * 0 + self.blank, classes - 1),
        ):
            outside = values[(values < 0) | (values > most)]
            if outside.size:
                raise BlitzError(f"{self.name}: {argument} must be in 0–{most}, not {outside[0]}")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "blank": self.blank, "zero_infinity": self.zero_infinity}


def _negative_log_likelihood(log_probs: tf.Tensor, targets: _Targets, blank: int, zero_infinity: bool) -> tf.Tensor:
    """Return the losses (N,) of log-probabilities (N, T, C), with PyTorch's gradient."""
    lattice = _Lattice(targets, blank)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def losses_of(log_probs: tf.Tensor) -> tuple[tf.Tensor, Any]:
        emissions = lattice.emissions(log_probs)
        forward = lattice.forward(emissions)
        nll = -lattice.likelihood(forward[-1])
        never = (nll == number(float("inf"), nll)) & zero_infinity

        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            both = forward + lattice.backward(emissions)
            by_class = lattice.sum_by_class(tf.transpose(both, [1, 0, 2]), log_probs.shape[-1])
            slope = tf.exp(log_probs) - tf.exp(by_class + nll[:, tf.newaxis, tf.newaxis] - log_probs)
            counts = tf.range(tf.shape(log_probs, tf.int64)[1]) < targets.input_lengths[:, tf.newaxis]
            counts &= ~never[:, tf.newaxis]
            slope *= upstream[:, tf.newaxis, tf.newaxis]
            return tf.where(counts[..., tf.newaxis], slope, tf.zeros_like(slope))

        return tf.where(never, tf.zeros_like(nll), nll), gradient

    return losses_of(log_probs)


class _Lattice:
    """The states of a path: the target's labels with a blank before, between and after them, L = 2S + 1 of them."""

    def __init__(self, targets: _Targets, blank: int):
        self.input_lengths, self.last = targets.input_lengths, 2 * targets.lengths
        labels = tf.maximum(targets.labels, 0)  # padding may be negative; it is gathered, and leads nowhere
        if labels.shape[1] in (0, None):  # two states are skipped below, so there must be two
            labels = tf.pad(labels, [[0, 0], [0, 1]])
        pairs = tf.stack([tf.fill(tf.shape(labels), tf.constant(blank, tf.int64)), labels], -1)
        flat = tf.reshape(pairs, [tf.shape(labels)[0], 2 * tf.shape(labels)[1]])
        self.states = tf.pad(flat, [[0, 0], [0, 1]], constant_values=blank)  # (N, L)
        self.places = tf.range(tf.shape(self.states, tf.int64)[1])
        # A blank between two labels can be left out unless they are the same.
        self.skips = self.states[:, 2:] != self.states[:, :-2]

    def emissions(self, log_probs: tf.Tensor) -> tf.Tensor:
        """Return the log-probability of each state at each step, (T, N, L)."""
        inside = tf.minimum(self.states, log_probs.shape[-1] - 1)
        return tf.transpose(tf.gather(log_probs, inside, axis=2, batch_dims=1), [1, 0, 2])

    def forward(self, emissions: tf.Tensor) -> tf.Tensor:
        """Return α (T, N, L): log Σ over the paths that are in a state at a step; it stays after the input's end."""
        never = _never(emissions[0])
        first = tf.where((self.places < 2) & (self.places <= self.last[:, tf.newaxis]), emissions[0], never)

        def step(before: tf.Tensor, now: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            place, emission = now
            skipped = tf.where(self.skips, before[:, :-2], never[:, 2:])
            ways = [before, _shift(before[:, :-1], 1, 0), _shift(skipped, 2, 0)]
            return tf.where(place < self.input_lengths[:, tf.newaxis], _log_sum(ways) + emission, before)

        steps = tf.range(tf.shape(emissions, tf.int64)[0])
        rest = tf.scan(step, (steps[1:], emissions[1:]), first)
        return tf.concat([first[tf.newaxis], rest], 0)

    def backward(self, emissions: tf.Tensor) -> tf.Tensor:
        """Return β (T, N, L): log Σ over the rests of the paths, this step's emission included."""
        never = _never(emissions[0])
        ends = (self.places == self.last[:, tf.newaxis]) | (self.places == self.last[:, tf.newaxis] - 1)

        def step(after: tf.Tensor, now: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            place, emission = now
            skipped = tf.where(self.skips, after[:, 2:], never[:, 2:])
            ways = [after, _shift(after[:, 1:], 0, 1), _shift(skipped, 0, 2)]
            end = self.input_lengths[:, tf.newaxis] - 1
            on = tf.where(place < end, _log_sum(ways) + emission, never)
            return tf.where((place == end) & ends, emission, on)

        steps = tf.range(tf.shape(emissions, tf.int64)[0])
        return tf.scan(step, (steps, emissions), never, reverse=True)

    def likelihood(self, alpha: tf.Tensor) -> tf.Tensor:
        """Return log p of the targets (N,): the paths that end in the last label or the blank after it."""
        ends = (self.places == self.last[:, tf.newaxis]) | (self.places == self.last[:, tf.newaxis] - 1)
        value = tf.reduce_logsumexp(tf.where(ends, alpha, _never(alpha)), -1)
        # No input at all spells the empty target, and no other.
        empty = tf.where(self.last == 0, tf.zeros_like(value), _never(value))
        return tf.where(self.input_lengths == 0, empty, value)

    def sum_by_class(self, values: tf.Tensor, classes: int) -> tf.Tensor:
        """Return the log-sum of the states (N, T, L) of each class, (N, T, C)."""
        largest = tf.reduce_max(values, -1, keepdims=True)
        largest = tf.where(tf.math.is_inf(largest), tf.zeros_like(largest), largest)
        of_class = tf.one_hot(self.states, classes, dtype=values.dtype)
        return tf.math.log(tf.exp(values - largest) @ of_class) + largest


def _never(like: tf.Tensor) -> tf.Tensor:
    return tf.fill(tf.shape(like), number(float("-inf"), like))


def _shift(values: tf.Tensor, before: int, after: int) -> tf.Tensor:
    return tf.pad(values, [[0, 0], [before, after]], constant_values=float("-inf"))


def _log_sum(ways: list[tf.Tensor]) -> tf.Tensor:
    return tf.reduce_logsumexp(tf.stack(ways), 0)
