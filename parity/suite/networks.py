"""How a network is recorded on both sides."""

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from importlib import import_module
from itertools import product

import numpy as np

from keras_blitz import models
from keras_blitz.floatx import precision
from parity.cases.rows import NetworkRow
from parity.core import inputs
from parity.core.modes import DTYPES, MODES, any_matches
from parity.core.trace import Trace
from parity.suite import plans, settled
from parity.suite.case import Case
from parity.twins import functions

# Ports that are not networks of keras_blitz.models: file and function in parity/twins/keras.
PORTS = {"functions": "functions.points", "zero_gradient": "functions.zero_gradient", "small": "small.network"}


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
                    row=row.name,
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


def _cast(array: np.ndarray, dtype: str) -> np.ndarray:
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

    from parity.record import torch_recorder

    file, name = row.reference.split(".")
    module = getattr(import_module(f"parity.twins.torch.{file}"), name)(**dict(row.reference_options))
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
        _cast(images, dtype),
        _cast(target, dtype),
        loss=losses[row.loss],
        optimizer=partial(_torch_optimizer, row),
        steps=row.steps_taken,
        plan=partial(plans.of_torch, plan) if plan else None,
        clip=partial(getattr(torch.nn.utils, f"clip_grad_{row.clip[0]}_"), **_bound(*row.clip)) if row.clip else None,
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


def _keras_clip(kind: str, most: float, gradients: list) -> list:
    from keras_blitz.optim import clip_grad_norm_, clip_grad_value_

    if kind == "value":
        return clip_grad_value_(gradients, clip_value=most)
    return clip_grad_norm_(gradients, max_norm=most)[0]


def _bound(kind: str, most: float) -> dict[str, float]:
    return {"max_norm" if kind == "norm" else "clip_value": most}


def _record_port(row: NetworkRow, batch: str, plan: str, dtype: str, mode: str, left_out: Sequence[str] = ()) -> Trace:
    recorder = _recorder(row, dtype, mode)
    images, target = _batch(row, batch)
    trace = recorder.record(
        _state(row, recorder.shapes()), _cast(images, dtype), _cast(target, dtype), row.steps_taken,
        partial(plans.of_keras, plan) if plan else None, left_out,
    )  # fmt: skip
    if (batch, plan) == (row.batches[-1], row.plans[-1]):
        _recorder.cache_clear()
        del recorder
        if row.keep:  # a large network: Keras's models are cycles, and VGG's with its optimizer is 4 GB
            gc.collect()
    return trace


def _port(network: str) -> Callable:
    """Return what builds the port of a network."""
    if network not in PORTS:
        return partial(models.build, network)
    file, name = PORTS[network].split(".")
    return getattr(import_module(f"parity.twins.keras.{file}"), name)


@lru_cache(maxsize=1)  # the next batch of the same network runs the step compiled for this one
def _recorder(row: NetworkRow, dtype: str, mode: str):
    import keras

    from keras_blitz.initializers import skip_init
    from keras_blitz.weights import weights
    from parity.record.keras_recorder import KerasRecorder

    with precision(dtype), skip_init():  # Keras's losses and optimizers take their type from floatx
        model = _port(row.network)(dtype=dtype, **dict(row.port_options))
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
            clip=partial(_keras_clip, *row.clip) if row.clip else None,
            train=row.train,
            mode=mode,
            masks=partial(_mask, row) if row.train else None,
            keep=row.keep,
        )
