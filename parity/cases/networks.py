"""How a network is recorded on both sides, and the tutorials' networks.

Each runs on synthetic images with unlike axes, and on real images of the sample through its own transform.
"""

import gc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from importlib import import_module
from itertools import product

import numpy as np

from keras_blitz import models
from keras_blitz.floatx import precision
from parity import inputs
from parity.cases import functions, plans, settled
from parity.cases.case import DTYPES, MODES, Case, any_matches
from parity.trace import Trace

Options = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class NetworkRow:
    """One network under one set of circumstances.

    Args:
        name: the subject.
        covers: ids of the inventory.
        reference: file and callable in parity/reference.
        shape: input (N, C, H, W), N unlike the other sizes.
        loss: "cross_entropy", "mse" and "difference" (the sum of output − target; the target shaped as the output),
            "inception" (both heads, the auxiliary one by 0.4); None: forward only.
        rate: learning rate of the SGD steps, the tutorial's own.
        normalize: (mean, std) of the tutorial's Normalize behind ToTensor; None without.
        group: of the cases.
        port: name in keras_blitz.models or parity/cases/functions.py, and of the stream of weights; None: `name`.
        port_options: further constructor arguments of the port.
        reference_options: constructor arguments of the reference.
        steps: optimizer steps.
        momentum: of SGD.
        optimizer: another optimizer: its name in torch.optim and keras_blitz.optim, and its options.
        groups: its parameter groups: (pattern, options) of those that do not take its own.
        clip: ("norm", most) or ("value", most), between the backward pass and the update.
        train: train mode, with the same dropout masks on both sides.
        trained: patterns of the parameters that are not frozen.
        batches: "synthetic", "sample".
        settled: keep relus and pools from being decided by rounding, see parity/cases/settled.py.
        plans: what becomes of the learning rate, see parity/cases/plans.py; each plan is a subject of its own.
        classes: number of labels.
        fan_out: how the weights are scaled, see `inputs.weights`.
        keep: of a tensor with more values than these, only the fingerprint is recorded.
        samples: how many float32 runs PyTorch's own error is the largest of.
        heavy: needs gigabytes of memory.
        not_golden: patterns of the names a golden file leaves out.
        runs: patterns of <dtype>-<mode> to run in.
        slow: patterns of those of them that a plain run leaves out.
    """

    name: str
    covers: tuple[str, ...]
    reference: str
    shape: tuple[int, ...]
    loss: str | None = None
    rate: float = 0.0
    normalize: tuple[float, float] | None = None
    port: str | None = None
    port_options: Options = ()
    reference_options: Options = ()
    steps: int = 10
    momentum: float = 0.0
    optimizer: tuple[str, Options] | None = None
    groups: tuple[tuple[str, Options], ...] = ()
    clip: tuple[str, float] | None = None
    train: bool = False
    trained: tuple[str, ...] = ("*",)
    batches: tuple[str, ...] = ("synthetic", "sample")
    settled: bool = False
    plans: tuple[str, ...] = ("",)
    group: str = "networks"
    classes: int = 10
    fan_out: bool = False
    keep: int | None = None
    samples: int = 1
    heavy: bool = False
    not_golden: tuple[str, ...] = ("step[3-9]:*",)
    runs: tuple[str, ...] = ("*",)
    slow: tuple[str, ...] = ()

    @property
    def network(self) -> str:
        """The port's name in keras_blitz.models."""
        return self.port or self.name

    @property
    def steps_taken(self) -> int:
        """The optimizer's steps; none without a loss."""
        return self.steps if self.loss else 0

    def trains(self, parameter: str) -> bool:
        """Whether a parameter is not frozen."""
        return any(fnmatchcase(parameter, pattern) for pattern in self.trained)


ROWS = (
    NetworkRow("lenet", ("N1",), "lenet.Net", (3, 1, 32, 32), "mse", 0.01),
    NetworkRow("cifar", ("N2",), "cifar.Net", (4, 3, 32, 32), "cross_entropy", 0.001, (0.5, 0.5)),
    NetworkRow("mlp", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001),
    NetworkRow(
        "mlp-last-relu", ("N3",), "mlp.NeuralNetwork", (64, 1, 28, 28), "cross_entropy", 0.001,
        reference_options=(("last_relu", True),), slow=("*-xla",),
    ),
    NetworkRow("mnist0", ("N5",), "mnist.Network0", (5, 1, 28, 28)),
    NetworkRow("mnist1", ("N5",), "mnist.Network1", (5, 1, 28, 28)),
    NetworkRow("mnist", ("N4",), "mnist.Network2", (20, 1, 28, 28), "cross_entropy", 0.1, (0.1307, 0.3081)),
)  # fmt: skip


def cases(rows: Iterable[NetworkRow]) -> Iterator[Case]:
    """Yield the cases of these networks, those that can share a compiled step one after the other."""
    for row in rows:
        runs = [(f"{d}-{m}", d, m) for d in DTYPES for m in MODES if any_matches(f"{d}-{m}", row.runs)]
        samples = row.samples if "float32" in [dtype for _, dtype, _ in runs] else 0
        for run, dtype, mode in runs:
            for batch, plan in product(row.batches, row.plans):
                yield Case(
                    subject="-".join(filter(None, (row.name, "sample" if batch == "sample" else "", plan))),
                    group=row.group,
                    covers=row.covers,
                    dtype=dtype,
                    mode=mode,
                    record_reference=partial(_record_reference, row, batch, plan),
                    record_port=partial(_record_port, row, batch, plan),
                    isolate=partial(_isolate, row, batch),
                    not_golden=row.not_golden,
                    samples=samples,
                    heavy=row.heavy,
                    slow=any_matches(f"{plan}-{run}" if plan else run, row.slow),
                )


def _batch(row: NetworkRow, batch: str) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs (N, C, H, W) float32 and the target the row's loss takes."""
    if row.loss == "functions":
        return np.ones(row.shape, np.float32), np.zeros(1, np.float32)
    count, channels, height, width = row.shape
    if batch == "synthetic":
        images, labels = inputs.images(row.shape, row.network), inputs.labels(count, row.classes, row.network)
        images = settled.images(images) if row.settled else images
    else:
        images, labels = _sample(row, count, (height, width, channels))
    if row.loss in ("mse", "difference"):
        return images, inputs.uniform((count, row.classes), 1.0, "target", row.network)
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


def _state(row: NetworkRow, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    ordinary = _weights(row.network, row.fan_out, tuple(shapes.items()))
    return settled.state(ordinary) if row.settled else ordinary


@lru_cache(maxsize=1)  # both sides, and the modes after each other, take the same; VGG's are drawn in 4 s
def _weights(network: str, fan_out: bool, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, np.ndarray]:
    return inputs.weights(dict(shapes), network, fan_out=fan_out)


def _mask(row: NetworkRow, path: str, shape: tuple[int, ...], p: float) -> np.ndarray:
    return inputs.mask(shape, p, row.network, path)


def _record_reference(
    row: NetworkRow, batch: str, plan: str, dtype: str, sample: int = 0, *, fed: bool = False
) -> Trace:
    import torch

    from parity import torch_recorder

    file, name = row.reference.split(".")
    module = getattr(import_module(f"parity.reference.{file}"), name)(**dict(row.reference_options))
    for path, parameter in module.named_parameters():
        parameter.requires_grad_(row.trains(path))
    cross_entropy = torch.nn.CrossEntropyLoss()
    losses = {
        "cross_entropy": cross_entropy,
        "inception": lambda heads, y: cross_entropy(heads[0], y) + 0.4 * cross_entropy(heads[1], y),
        "mse": torch.nn.MSELoss(),
        "difference": lambda output, y: (output - y).sum(),
        "functions": lambda points, _: functions.total(points),
        None: None,
    }
    images, target = _batch(row, batch)
    return torch_recorder.record(
        module,
        inputs.moved(_state(row, torch_recorder.shapes(module)), sample),
        _typed(images, dtype),
        _typed(target, dtype),
        loss=losses[row.loss],
        optimizer=partial(_torch_optimizer, row),
        steps=row.steps_taken,
        plan=partial(plans.of_torch, plan) if plan else None,
        clip=partial(getattr(torch.nn.utils, f"clip_grad_{row.clip[0]}_"), **_bound(row)) if row.clip else None,
        slots=row.optimizer is not None,
        train=row.train,
        dtype=dtype,
        masks=partial(_mask, row) if row.train else None,
        keep=row.keep,
        fed=fed,
    )


def _isolate(row: NetworkRow, batch: str) -> tuple[Trace, Trace]:
    """Return PyTorch's forward pass in float64, and what each of the port's layers makes of the same inputs."""
    row = replace(row, loss=None, keep=None)
    truth = _record_reference(row, batch, "", "float64", fed=True)
    recorder = _recorder(row, "float64", "eager")
    port = recorder.isolate(_state(row, recorder.shapes()), truth)
    return Trace((name, truth[name]) for name in port), port


def _torch_optimizer(row: NetworkRow, named: list):
    """Return PyTorch's optimizer of named parameters, in the groups of the row: the first pattern that matches."""
    import torch

    from keras_blitz.optim.groups import assigned

    name, options = row.optimizer or ("SGD", (("lr", row.rate), ("momentum", row.momentum)))
    patterns = ["*", *(pattern for pattern, _ in row.groups)]
    of = assigned(patterns, [name for name, _ in named])
    members = [[entry for entry, group in zip(named, of, strict=True) if group == k] for k in range(len(patterns))]
    own = [{}, *(dict(own) for _, own in row.groups)]
    return getattr(torch.optim, name)(
        [{"params": params, **options} for params, options in zip(members, own, strict=True)], **dict(options)
    )


def _keras_optimizer(row: NetworkRow):
    import keras

    from keras_blitz import optim

    if row.optimizer is None:
        # np.float64: Keras would pass a Python float through float32 (gap opt-sgd-momentum).
        return keras.optimizers.SGD(row.rate, momentum=np.float64(row.momentum))
    name, options = row.optimizer
    return getattr(optim, name)(**dict(options), groups=[(pattern, dict(own)) for pattern, own in row.groups])


def _keras_clip(row: NetworkRow, gradients: list) -> list:
    from keras_blitz.optim import clip_grad_norm_, clip_grad_value_

    if row.clip[0] == "value":
        return clip_grad_value_(gradients, **_bound(row))
    return clip_grad_norm_(gradients, **_bound(row))[0]


def _bound(row: NetworkRow) -> dict[str, float]:
    return {"max_norm" if row.clip[0] == "norm" else "clip_value": row.clip[1]}


def _record_port(row: NetworkRow, batch: str, plan: str, dtype: str, mode: str) -> Trace:
    recorder = _recorder(row, dtype, mode)
    images, target = _batch(row, batch)
    trace = recorder.record(
        _state(row, recorder.shapes()), _typed(images, dtype), _typed(target, dtype), row.steps_taken,
        partial(plans.of_keras, plan) if plan else None,
    )  # fmt: skip
    if (batch, plan) == (row.batches[-1], row.plans[-1]):
        _recorder.cache_clear()
        del recorder
        gc.collect()  # Keras's models are cycles, and VGG's with its optimizer is 4 GB
    return trace


@lru_cache(maxsize=1)  # the next batch of the same network runs the step compiled for this one
def _recorder(row: NetworkRow, dtype: str, mode: str):
    import keras

    from keras_blitz.initializers import skip_init
    from keras_blitz.weights import weights
    from parity.keras_recorder import KerasRecorder

    with precision(dtype), skip_init():  # Keras's losses and optimizers take their type from floatx
        build = functions.PORTS.get(row.network) or partial(models.build, row.network)
        model = build(dtype=dtype, **dict(row.port_options))
        for weight in weights(model):
            weight.variable.trainable = weight.trainable and row.trains(weight.name)
        cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        losses = {
            "cross_entropy": cross_entropy,
            "inception": lambda y, heads: cross_entropy(y, heads[0]) + 0.4 * cross_entropy(y, heads[1]),
            "mse": keras.losses.MeanSquaredError(),
            "difference": lambda y, output: keras.ops.sum(output - y),
            "functions": lambda _, points: functions.total(points),
            None: None,
        }
        return KerasRecorder(
            model,
            loss=losses[row.loss],
            optimizer=_keras_optimizer(row) if row.steps_taken else None,
            clip=partial(_keras_clip, row) if row.clip else None,
            train=row.train,
            mode=mode,
            masks=partial(_mask, row) if row.train else None,
            keep=row.keep,
        )
