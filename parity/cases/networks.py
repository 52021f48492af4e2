"""The networks, each on two batches: synthetic images with unlike axes, and real images of the sample."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib import import_module

import numpy as np

from keras_blitz import models
from keras_blitz.floatx import precision
from parity import inputs
from parity.cases.case import DTYPES, MODES, Case
from parity.trace import Trace

STEPS = 10


@dataclass(frozen=True)
class NetworkRow:
    """One network.

    Args:
        name: the subject, the name of the port in keras_blitz.models, and of its stream of weights.
        covers: ids of the inventory.
        reference: file and class in parity/reference.
        shape: input (N, C, H, W), N unlike the other sizes.
        loss: "cross_entropy" or "mse" (against a target shaped as the output); None: forward only.
        rate: learning rate of the plain SGD steps, the tutorial's own.
        normalize: (mean, std) of the tutorial's Normalize behind ToTensor; None without.
        reference_options: constructor arguments of the reference.
    """

    name: str
    covers: tuple[str, ...]
    reference: str
    shape: tuple[int, int, int, int]
    loss: str | None = None
    rate: float = 0.0
    normalize: tuple[float, float] | None = None
    reference_options: tuple[tuple[str, object], ...] = ()


ROWS = (
    NetworkRow("lenet", ("N1",), "lenet.Net", (3, 1, 32, 32), "mse", 0.01),
    NetworkRow("cifar", ("N2",), "cifar.Net", (4, 3, 32, 32), "cross_entropy", 0.001, (0.5, 0.5)),
    NetworkRow("mlp", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001),
    NetworkRow(
        "mlp-last-relu", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001,
        reference_options=(("last_relu", True),),
    ),
    NetworkRow("mnist0", ("N5",), "mnist.Network0", (5, 1, 28, 28)),
    NetworkRow("mnist1", ("N5",), "mnist.Network1", (5, 1, 28, 28)),
    NetworkRow("mnist", ("N4",), "mnist.Network2", (20, 1, 28, 28), "cross_entropy", 0.1, (0.1307, 0.3081)),
)  # fmt: skip


def cases(rows: tuple[NetworkRow, ...]) -> Iterator[Case]:
    """Yield the cases of these networks, those that can share a compiled step one after the other."""
    for row in rows:
        for dtype in DTYPES:
            for mode in MODES:
                for batch in ("synthetic", "sample"):
                    yield Case(
                        subject=row.name + ("-sample" if batch == "sample" else ""),
                        group="networks",
                        covers=row.covers,
                        dtype=dtype,
                        mode=mode,
                        record_reference=partial(_record_reference, row, batch),
                        record_port=partial(_record_port, row, batch),
                        kept_steps=(1, 2, STEPS),
                    )


def _batch(row: NetworkRow, batch: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (N, C, H, W) float32 and the target the row's loss takes."""
    count, channels, height, width = row.shape
    if batch == "synthetic":
        images, labels = inputs.images(row.shape, row.name), inputs.labels(count, 10, row.name)
    else:
        images, labels = _sample(row, count, (height, width, channels))
    if row.loss == "mse":
        return images, inputs.uniform((count, 10), 1.0, "target", row.name)
    return images, labels


def _sample(row: NetworkRow, count: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first real images, through the network's own transform, and their labels."""
    from keras_blitz.data import fit_to, load_sample, normalize, to_tensor

    images, labels = load_sample("train")
    images = to_tensor(fit_to(images[:count], shape))
    if row.normalize:
        mean, std = row.normalize
        images = normalize(images, (mean,), (std,))
    return images.transpose(0, 3, 1, 2), labels[:count].astype(np.int64)


def _typed(array: np.ndarray, dtype: str) -> np.ndarray:
    return array.astype(dtype) if array.dtype.kind == "f" else array


def _record_reference(row: NetworkRow, batch: str, dtype: str) -> Trace:
    import torch

    from parity import torch_recorder

    file, name = row.reference.split(".")
    module = getattr(import_module(f"parity.reference.{file}"), name)(**dict(row.reference_options))
    images, target = _batch(row, batch)
    return torch_recorder.record(
        module,
        inputs.weights(torch_recorder.shapes(module), row.name),
        _typed(images, dtype),
        _typed(target, dtype),
        loss={"cross_entropy": torch.nn.CrossEntropyLoss(), "mse": torch.nn.MSELoss(), None: None}[row.loss],
        optimizer=partial(torch.optim.SGD, lr=row.rate),
        steps=STEPS if row.loss else 0,
        dtype=dtype,
    )


def _record_port(row: NetworkRow, batch: str, dtype: str, mode: str) -> Trace:
    recorder = _recorder(row, dtype, mode)
    images, target = _batch(row, batch)
    state = inputs.weights(recorder.shapes(), row.name)
    return recorder.record(state, _typed(images, dtype), _typed(target, dtype), STEPS if row.loss else 0)


@lru_cache(maxsize=1)  # the next batch of the same network runs the step compiled for this one
def _recorder(row: NetworkRow, dtype: str, mode: str):
    import keras

    from parity.keras_recorder import KerasRecorder

    with precision(dtype):  # Keras's optimizers take their learning rate's type from floatx
        losses = {
            "cross_entropy": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            "mse": keras.losses.MeanSquaredError(),
            None: None,
        }
        optimizer = keras.optimizers.SGD(row.rate) if row.loss else None
        return KerasRecorder(models.build(row.name, dtype=dtype), loss=losses[row.loss], optimizer=optimizer, mode=mode)
