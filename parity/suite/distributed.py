"""How a run of two workers is recorded on both sides: processes that stay, one run after the other."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

import numpy as np

from parity.cases.rows import DistributedRow
from parity.core.trace import Trace
from parity.suite.case import Case
from parity.suite.ranks import Ranks

WORLD = 2


def cases(rows: Iterable[DistributedRow]) -> Iterator[Case]:
    """Yield the cases of these runs, in float64: the algebra of what the workers do together."""
    for row in rows:
        yield Case(
            subject=row.subject,
            group="training",
            covers=("S7",),
            dtype="float64",
            mode="graph",
            record_reference=partial(_record_reference, row),
            record_port=partial(record_port, row),
            not_golden=row.not_golden,
            samples=0,
            row="train-distributed",  # the processes are started once
            slow=row.slow,
        )


def _record_reference(row: DistributedRow, dtype: str, sample: int = 0) -> Trace:
    import torch

    from parity.twins.torch.distributed import train

    ranks = _torch_ranks(WORLD if row.like == "ddp" else 1)
    return _trace("torch", torch.__version__, ranks, train, row)


def record_port(row: DistributedRow, dtype: str, mode: str = "graph", left_out: Sequence[str] = ()) -> Trace:
    """Return the run of two workers."""
    import tensorflow as tf

    from parity.twins.keras.distributed import train

    return _trace("tensorflow", tf.__version__, _workers(), train, row).without(left_out)


def _trace(framework: str, version: str, ranks: Ranks, train: Callable, row: DistributedRow) -> Trace:
    """Record rank 0, and of the others what may differ: their losses, whose mean is the step's, and their buffers."""
    answers = ranks.run(train, row, *_data(row))
    trace = Trace(framework=framework, version=version)
    recorded = dict(answers[0][0])
    for others, _ in answers[1:]:
        recorded |= {name: value for name, value in others.items() if "buffer:" in name}
    last = {name: recorded.pop(name) for name in list(recorded) if name.startswith("step")}
    for name, value in recorded.items():
        trace.add(name, value)
    for step, loss in enumerate(np.mean([losses for _, losses in answers], 0), 1):
        trace.add(f"step{step}:loss", loss)
    for name in sorted(last):
        if row.like == "ddp" or "buffer:rank1" not in name:  # one process has no second rank
            trace.add(name, last[name])
    return trace


def _data(row: DistributedRow) -> tuple[np.ndarray, np.ndarray]:
    """Return the row's images (N, H, W, C) uint8 and labels (N,)."""
    from keras_blitz.data import fit_to, load_sample, resize

    images, labels = load_sample("train")
    chosen = slice(0, None, len(labels) // row.images)
    images, labels = images[chosen][: row.images], labels[chosen][: row.images]
    if row.network == "resnet18":
        images = np.repeat(resize(images, 64), 3, -1)
    else:
        images = fit_to(images, (32, 32, 1 if row.network == "lenet" else 3))
    return images, labels.astype(np.int64)


@cache
def _start(kind: str, world: int) -> list[Ranks]:
    return []


def _torch_ranks(world: int) -> Ranks:
    from keras_blitz.training.launcher import local_clusters
    from parity.twins.torch.distributed import environment

    port = int(local_clusters(1)[0].addresses[0].rpartition(":")[2])
    return _alive("torch", [environment(rank, world, port) for rank in range(world)])


def _workers() -> Ranks:
    from keras_blitz.training.cluster import TF_CONFIG
    from keras_blitz.training.launcher import local_clusters

    return _alive("tensorflow", [{TF_CONFIG: cluster.tf_config()} for cluster in local_clusters(WORLD)])


def _alive(kind: str, environments: list[dict[str, str]]) -> Ranks:
    """Return the processes of a kind that run already, or start them."""
    held = _start(kind, len(environments))
    if not held or not held[0].alive:
        held[:] = [Ranks(environments)]
    return held[0]
