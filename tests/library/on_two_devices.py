"""What two devices of one process compute beside what one process does; prints each largest difference, as JSON.

A program of its own: devices are made but once, before TensorFlow's first operation.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import keras_blitz
from keras_blitz import losses, optim
from keras_blitz.data import Split, load_sample
from keras_blitz.initializers import initialize
from keras_blitz.layers import BatchNorm, Dropout, convert_sync_batchnorm
from keras_blitz.training.distributed import ALONE, Workers, use_devices
from keras_blitz.training.loop import Trainer, choose_mean

TWO = use_devices(2)
RANDOM = np.random.RandomState(0)
LOGITS, LABELS = RANDOM.randn(7, 4), np.array([0, 1, 2, 3, 1, 1, 2])
WEIGHTS = [1.0, 3.0, 0.2, 2.0]


def apart(ours, theirs) -> float:
    """Return the largest difference of two lists of arrays, relative to each array's largest value."""
    pairs = [(np.asarray(a, float), np.asarray(b, float)) for a, b in zip(ours, theirs, strict=True)]
    assert all(a.shape == b.shape for a, b in pairs)
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-300)) for a, b in pairs if b.size)


def on_replicas(function, *arrays) -> list:
    """Return what a function returns on each replica, given every second row."""
    part = tf.function(
        lambda: TWO.strategy.run(function, args=[TWO.strategy.experimental_distribute_values_from_function(
            lambda context, array=array: tf.constant(array[context.replica_id_in_sync_group :: 2])
        ) for array in arrays])
    )  # fmt: skip
    return [TWO.strategy.experimental_local_results(value) for value in part()]


def loss_and_gradient(loss):
    def compute(labels, logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits)
        return value, tape.gradient(value, logits)

    return compute


def compare_loss(**options) -> float:
    """Batch of 4 + 3: the sum of the replicas' losses, and each row's gradient."""
    loss = losses.CrossEntropyLoss(**options)
    value, gradient = loss_and_gradient(loss)(tf.constant(LABELS), tf.constant(LOGITS))
    values, gradients = on_replicas(loss_and_gradient(loss), LABELS, LOGITS)
    whole = np.empty_like(LOGITS)
    whole[0::2], whole[1::2] = gradients
    return apart([sum(values), whole], [value, gradient])


def compare_mean_of_means() -> float:
    loss = losses.CrossEntropyLoss(weight=WEIGHTS)
    parts = [float(loss(LABELS[r::2], LOGITS[r::2])) for r in (0, 1)]
    loss.over_replicas = "each"
    values, _ = on_replicas(loss_and_gradient(loss), LABELS, LOGITS)
    return apart([sum(values)], [np.mean(parts)])


def compare_clipping() -> float:
    """The replicas' shares of the clipped sum of gradients, and the norm before."""

    def clip(x):
        (clipped,), norm = optim.clip_grad_norm_([x], 0.5)
        return clipped, norm

    shares, norms = on_replicas(clip, LOGITS[:6])
    clipped, norm = optim.clip_grad_norm_([tf.constant(LOGITS[0:6:2] + LOGITS[1:6:2])], 0.5)
    return apart([sum(shares), *norms], [clipped[0], norm, norm])


def batchnorm(synchronized: bool) -> keras.Model:
    inputs = keras.Input((3, 2), dtype="float64")
    return keras.Model(inputs, BatchNorm(synchronized=synchronized, dtype="float64", name="bn")(inputs))


def compare_batchnorm() -> float:
    """Synchronized: output, gradients of the input, gamma and beta, and the running statistics of the whole batch."""
    x, upstream = RANDOM.randn(7, 3, 2) * 3 + 5, RANDOM.randn(7, 3, 2)

    def compute(model, x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = model(x, training=True)
            value = tf.reduce_sum(y * upstream)
        return y, *tape.gradient(value, [x, *model.trainable_variables])

    one = batchnorm(False)
    y, dx, *affine = compute(one, tf.constant(x), tf.constant(upstream))
    with TWO.scope():
        two = batchnorm(True)
    ys, dxs, *affines = on_replicas(lambda *args: compute(two, *args), x, upstream)
    whole, dwhole = np.empty_like(x), np.empty_like(x)
    whole[0::2], whole[1::2] = ys
    dwhole[0::2], dwhole[1::2] = dxs
    found = [whole, dwhole, *(sum(parts) for parts in affines), *two.get_weights()]
    return apart(found, [y, dx, *affine, *one.get_weights()])


def network(normalized: bool, dropout: bool) -> keras.Model:
    def layer(kind, *args, **options):
        return kind(*args, dtype="float64", **options)

    inputs = keras.Input((28, 28, 1), dtype="float64")
    x = layer(keras.layers.MaxPooling2D, 4)(inputs)
    x = layer(keras.layers.Conv2D, 3, 3, use_bias=not normalized, name="conv")(x)  # or Adam divides its gradient of 0
    if normalized:
        x = layer(BatchNorm, name="bn")(x)
    x = layer(keras.layers.Dense, 16, name="fc1")(layer(keras.layers.Flatten)(layer(keras.layers.ReLU)(x)))
    if dropout:
        x = layer(Dropout, 0.5, name="drop")(x)
    model = keras.Model(inputs, layer(keras.layers.Dense, 10, name="fc2")(x), name="net")
    initialize(model)
    return model


def trainer(workers: Workers, count: int, loop: str, **parts) -> Trainer:
    keras_blitz.manual_seed(1)
    images, labels = load_sample()
    loss = choose_mean(
        losses.CrossEntropyLoss(weight=[1, 2, 0.5, 1, 3, 1, 1, 0.2, 1, 1.5], label_smoothing=0.1), workers
    )
    with workers.scope():
        model = network(**parts)
        if parts["normalized"]:
            convert_sync_batchnorm(model)
        return Trainer(
            model, optim.Adam(0.01), loss, Split(images[:count], labels[:count].astype(np.int64)), batch_size=8,
            shuffle=True, normalize=(0.5, 0.5), loop=loop, counts_correct=True, steps_per_call=3, workers=workers,
        )  # fmt: skip


def result(trainer: Trainer, epochs: int = 2) -> list:
    """Return the losses, the right answers, and all variables."""
    found = []
    while trainer.epoch < epochs:
        assert trainer.run_epoch()
        found += [trainer.losses, trainer.correct]
    return [*found, *(v.numpy() for v in trainer.variables if "seed_generator" not in v.path)]  # Keras's, not used


def compare_runs(count: int, loop: str, normalized: bool = False, dropout: bool = False) -> float:
    parts = {"normalized": normalized, "dropout": dropout}
    return apart(result(trainer(TWO, count, loop, **parts)), result(trainer(ALONE, count, loop, **parts)))


def compare_resumed(folder: Path) -> list[float]:
    """Stopped in the second epoch on two devices; gone on with two, to the same bits, and with one."""
    parts = {"count": 37, "loop": "tape", "normalized": True, "dropout": True}
    whole = result(trainer(TWO, **parts))
    first = trainer(TWO, **parts)
    first.run_epoch()
    assert not first.run_epoch(lambda *_: False)
    first.save(folder / "run.npz")
    found = []
    for workers in (TWO, ALONE):
        second = trainer(workers, **parts)
        second.restore(folder / "run.npz")
        found.append(apart(result(second), whole[2:]))
    return found


def main() -> None:
    same, other = compare_resumed(Path(sys.argv[1]))
    found = {
        "class weights": compare_loss(weight=WEIGHTS),
        "ignore_index": compare_loss(ignore_index=1),
        "label smoothing": compare_loss(weight=WEIGHTS, ignore_index=2, label_smoothing=0.2),
        "sum": compare_loss(reduction="sum"),
        "mean of means": compare_mean_of_means(),
        "clipping": compare_clipping(),
        "batchnorm": compare_batchnorm(),
        "an uneven last batch": compare_runs(37, "tape"),
        "a last batch of one": compare_runs(33, "tape"),
        "dropout": compare_runs(37, "tape", dropout=True),
        "a network with batchnorm": compare_runs(36, "tape", normalized=True),
        "fit": compare_runs(37, "fit"),
        "fit, a last batch of one": compare_runs(33, "fit"),
        "resumed": same,
        "resumed by another number": other,
    }
    print(json.dumps(found))


main()
