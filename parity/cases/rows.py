"""What a row of the tables of cases may say: a network, a function of arrays, a training run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

Options = tuple[tuple[str, object], ...]


@dataclass(frozen=True)
class NetworkRow:
    """One network under one set of circumstances.

    Args:
        name: the subject.
        covers: ids of the inventory.
        reference: file and callable in parity/twins/torch.
        shape: input (N, C, H, W), N unlike the other sizes.
        loss: "cross_entropy", "mse" and "difference" (the sum of output − target; the target shaped as the output),
            "inception" (both heads, the auxiliary one by 0.4); None: forward only.
        rate: learning rate of the SGD steps, the tutorial's own.
        normalize: (mean, std) of the tutorial's Normalize after ToTensor; None without.
        group: of the cases.
        port: name in keras_blitz.models or suite/networks.PORTS, and of the stream of weights; None: `name`.
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
        settled: keep relus and pools from being decided by rounding, see parity/suite/settled.py.
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


@dataclass(frozen=True)
class CallRow:
    """One function, called with the same arrays in PyTorch and in the port.

    Both return a mapping of a trace's names ("output:x", "grad:w", "fact:raised") to tensors, arrays, texts, truth
    values, or None for what is absent.

    Args:
        name: the subject.
        covers: ids of the inventory.
        group: of the cases.
        reference: file and function in parity/twins/torch; takes the arrays as tensors by name.
        port: file and function in parity/twins/keras, the same in TensorFlow.
        arrays: by name, float32 values or integers.
        options: further arguments of both, no tensors.
        keep: of a tensor with more values than these, only the fingerprint is recorded.
        samples: how many float32 runs PyTorch's own error is the largest of.
        runs: patterns of <dtype>-<mode> to run in; what returns facts runs eagerly.
        slow: patterns of those of them that a plain run leaves out.
    """

    name: str
    covers: tuple[str, ...]
    group: str
    reference: str
    port: str
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    options: tuple[tuple[str, object], ...] = ()
    keep: int | None = None
    samples: int = 4  # of few values one run's error is luck
    runs: tuple[str, ...] = ("*",)
    slow: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingRow:
    """One run.

    Args:
        recipe: name in keras_blitz.training.RECIPES.
        data: "sample", or "real": the prepared data set.
        loop: "fit" or "tape".
        seed: of both sides.
        steps: whose losses are compared; None: one epoch, and the answers on the test set, image by image.
        dtypes: to run in.
        slow: left out of a plain run.
    """

    recipe: str
    data: str
    loop: str
    seed: int = 0
    steps: int | None = 250
    dtypes: tuple[str, ...] = ("float64", "float32")
    slow: bool = True

    @property
    def subject(self) -> str:
        """The subject of its cases."""
        length = "epoch" if self.steps is None else str(self.steps)
        return f"train-{self.recipe.replace('_', '-')}-{self.data}-{self.loop}-{length}-seed{self.seed}"


@dataclass(frozen=True)
class DistributedRow:
    """One run of two workers.

    Args:
        network: "lenet", "cifar-dropout", "batchnorm" (two convolutions), "resnet18" (images of 64×64).
        rule: what the optimizer is called in the subject.
        optimizer: its name in torch.optim and keras_blitz.optim, and its options.
        like: "ddp": the reference is DistributedDataParallel on two processes; "one": one process, and BatchNorm is
            synchronized in the port.
        batch_size: of both workers together.
        steps: whose losses are compared; then the parameters, slots and each rank's buffers.
        images: of the sample.
        seed: of both sides; as DDP, rank r has seed + r.
        not_golden: patterns of the names a golden file leaves out.
        slow: left out of a plain run.
    """

    network: str
    rule: str
    optimizer: tuple[str, Options]
    like: str
    batch_size: int = 16
    steps: int = 100
    images: int = 231
    seed: int = 3
    not_golden: tuple[str, ...] = ()
    slow: bool = True

    @property
    def subject(self) -> str:
        """The subject of its cases."""
        return f"train-distributed-{self.like}-{self.network}-{self.rule}"
