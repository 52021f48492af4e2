"""A worker of keras_blitz, as its training scripts run it, and the network that the package does not have."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import keras
import numpy as np
from keras import layers

import keras_blitz
from keras_blitz import models, optim
from keras_blitz.data import Split
from keras_blitz.layers import BatchNorm, Dropout, convert_sync_batchnorm
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.models.network import Network
from keras_blitz.training.cluster import find_cluster
from keras_blitz.training.cpu import tune_cpu
from keras_blitz.training.distributed import Workers, join
from keras_blitz.training.loop import Trainer, choose_mean, take_chiefs_values
from keras_blitz.weights.mapping import weights

Recorded = dict[str, np.ndarray]


class CifarDropout(Network):
    """The CIFAR-10 network with dropout after both hidden dense layers."""

    def __init__(self, dtype: str | None = None):
        pool = layers.MaxPooling2D(2, dtype=dtype, name="pool")
        inputs = keras.Input((32, 32, 3), dtype=dtype)
        x = pool(layers.ReLU(dtype=dtype)(layers.Conv2D(6, 5, dtype=dtype, name="conv1")(inputs)))
        x = pool(layers.ReLU(dtype=dtype)(layers.Conv2D(16, 5, dtype=dtype, name="conv2")(x)))
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        x = layers.ReLU(dtype=dtype)(layers.Dense(120, dtype=dtype, name="fc1")(x))
        x = Dropout(0.5, dtype=dtype, name="drop1")(x)
        x = layers.ReLU(dtype=dtype)(layers.Dense(84, dtype=dtype, name="fc2")(x))
        x = Dropout(0.25, dtype=dtype, name="drop2")(x)
        super().__init__(inputs, layers.Dense(10, dtype=dtype, name="fc3")(x), name="cifar-dropout", dtype=dtype)


class Normalized(Network):
    """Two convolutions, each with BatchNorm after it."""

    def __init__(self, dtype: str | None = None):
        inputs = keras.Input((32, 32, 3), dtype=dtype)
        x = layers.Conv2D(8, 5, 2, use_bias=False, dtype=dtype, name="conv1")(inputs)  # (N, 14, 14, 8)
        x = layers.ReLU(dtype=dtype)(BatchNorm(dtype=dtype, name="bn1")(x))
        x = layers.Conv2D(6, 3, 2, use_bias=False, dtype=dtype, name="conv2")(x)  # (N, 6, 6, 6)
        x = layers.ReLU(dtype=dtype)(BatchNorm(dtype=dtype, name="bn2")(x))
        x = layers.Flatten(dtype=dtype, name="flatten")(x)
        super().__init__(inputs, layers.Dense(10, dtype=dtype, name="fc")(x), name="batchnorm", dtype=dtype)


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "lenet": lambda: models.build("lenet", dtype="float64"),
    "cifar-dropout": lambda: CifarDropout(dtype="float64"),
    "batchnorm": lambda: Normalized(dtype="float64"),
    "resnet18": lambda: models.build("resnet18", num_classes=10, input_shape=(64, 64, 3), dtype="float64"),
}


def train(row, images: np.ndarray, labels: np.ndarray) -> tuple[Recorded, list[float]]:
    """Return what a worker recorded at the end of a run, and the run's loss of each step.

    Args:
        row: `parity.cases.rows.DistributedRow`.
        images: (N, H, W, C) uint8.
        labels: (N,).
    """
    keras.utils.clear_session()
    workers = replace(_joined(), like=row.like)
    keras_blitz.manual_seed(row.seed + (workers.rank if workers.is_ddp else 0))
    with workers.scope():
        net = NETWORKS[row.network]()
        convert_sync_batchnorm(net) if row.like == "one" else take_chiefs_values(workers, net)
        name, options = row.optimizer
        optimizer = getattr(optim, name)(**dict(options))
        loss = choose_mean(CrossEntropyLoss(), workers)
        trainer = Trainer(
            net, optimizer, loss, Split(images, labels), batch_size=row.batch_size, shuffle=True,
            normalize=(0.5, 0.5), loop="tape", workers=workers, sampler_seed=row.seed, steps_per_call=10,
        )  # fmt: skip
    recorded = {f"param:{weight.name}": weight.value() for weight in weights(net) if weight.trainable}
    losses: list[float] = []

    def after(of_call: np.ndarray, _: np.ndarray) -> bool:
        losses.extend(of_call.tolist())
        return len(losses) < row.steps

    while len(losses) < row.steps:
        trainer.run_epoch(after)
    return recorded | _state(net, optimizer, f"step{row.steps}:", workers.rank), losses


@cache
def _joined() -> Workers:
    tune_cpu(1, 1)
    cluster = find_cluster()
    assert cluster is not None
    return join(cluster)


def _state(net: keras.Model, optimizer: Any, prefix: str, rank: int) -> Recorded:
    of_variable = {id(variable): weight for weight in weights(net) for variable in weight.variables}
    state = {}
    for weight in weights(net):
        what = f"param:{weight.name}" if weight.trainable else f"buffer:rank{rank}.{weight.name}"
        state[prefix + what] = weight.value()
    for slot in optimizer.slots():
        weight, value = of_variable[id(slot.parameter)], np.asarray(slot.variable.numpy())
        state[f"{prefix}slot:{slot.key}:{weight.name}"] = weight.joined([value]) if value.ndim else value
    return state
