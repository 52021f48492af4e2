"""The order in which PyTorch's `DataLoader` and `random_split` take a data set, index by index.

Source: torch/utils/data/sampler.py, dataloader.py, dataset.py (2.13).
"""

import math
import warnings
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.random import Generator, default_generator

# How many indices PyTorch draws at a time where it puts them back.
_DRAWN_TOGETHER = 32


class RandomSampler:
    """Indices of a data set in random order; every iteration is another one.

    Without a generator each iteration takes 64 bits of the default generator as the seed of one of its own, when its
    first index is asked for. With one it draws from that, in PyTorch's habit: where all are wanted it draws a second
    permutation after the last index, and uses none of it.

    Args:
        count: size of the data set, ≥ 1.
        replacement: put each index back before the next is drawn.
        num_samples: how many indices an iteration yields, ≥ 1; None: `count`.
        generator: to draw from.

    Raises:
        BlitzError: a number that is not whole and ≥ 1.
    """

    def __init__(
        self,
        count: int,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        self.count, self.replacement, self.generator = count, replacement, generator
        self.num_samples = count if num_samples is None else num_samples
        for name, number in (("count", self.count), ("num_samples", self.num_samples)):
            _check_positive(name, number)

    def __iter__(self) -> Iterator[int]:
        generator = self.generator or Generator().manual_seed(int(default_generator.random()))
        if self.replacement:
            blocks, rest = divmod(self.num_samples, _DRAWN_TOGETHER)
            for size in (*[_DRAWN_TOGETHER] * blocks, rest):
                yield from generator.randint(0, self.count, size).tolist()
            return
        whole, rest = divmod(self.num_samples, self.count)
        for _ in range(whole):
            yield from generator.randperm(self.count).tolist()
        yield from generator.randperm(self.count).tolist()[:rest]

    def __len__(self) -> int:
        return self.num_samples


class DistributedSampler:
    """The indices of one rank, a part of the data set's, as `torch.utils.data.DistributedSampler` deals them out.

    rank r of W takes every W-th index of the whole order, from the r-th on

    So a batch of b on each rank is a batch of W · b of the whole order, of which rank r has `batch[r::W]`.

    Args:
        count: size of the data set, ≥ 1.
        num_replicas: W, ≥ 1.
        rank: 0 … W − 1.
        shuffle: another order each epoch: randperm of a generator of its own, seeded with seed + epoch.
        seed: the same on all ranks.
        drop_last: leave out what W does not divide; otherwise the first indices come once more at the end.

    Raises:
        BlitzError: a number that is out of range.
    """

    def __init__(
        self,
        count: int,
        num_replicas: int,
        rank: int = 0,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ):
        for name, number in (("count", count), ("num_replicas", num_replicas)):
            _check_positive(name, number)
        if not 0 <= rank < num_replicas:
            raise BlitzError(f"rank must be 0 … {num_replicas - 1}, not {rank!r}")
        self.count, self.num_replicas, self.rank = count, num_replicas, rank
        self.shuffle, self.seed, self.drop_last = shuffle, seed, drop_last
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which the order is made of; without it every epoch has the same, as in PyTorch."""
        self.epoch = epoch

    def whole(self) -> np.ndarray:
        """Return the order of all ranks together, int64."""
        order = np.arange(self.count)
        if self.shuffle:
            order = Generator().manual_seed(self.seed + self.epoch).randperm(self.count)
        size = len(self) * self.num_replicas
        return order[:size] if self.drop_last else np.resize(order, size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.whole()[self.rank :: self.num_replicas].tolist())

    def __len__(self) -> int:
        return self.count // self.num_replicas if self.drop_last else -(-self.count // self.num_replicas)


def batches(
    count: int,
    batch_size: int = 1,
    shuffle: bool = False,
    drop_last: bool = False,
    generator: Generator | None = None,
    sampler=None,
) -> Iterator[list[int]]:
    """Return the indices of one epoch, one list per batch, as `iter(torch.utils.data.DataLoader(…))` takes them.

    At once, shuffled or not, 64 bits are drawn, the base seed of PyTorch's workers; the order is drawn when the first
    batch is asked for. So `manual_seed`, and `batches` once an epoch, give PyTorch's order epoch after epoch.

    Args:
        count: size of the data set, ≥ 1.
        batch_size: ≥ 1.
        shuffle: in random order; otherwise 0 … count − 1.
        drop_last: leave out a last batch that is smaller.
        generator: to draw from; None: the default generator.
        sampler: an iterable of indices to take instead of all.

    Raises:
        BlitzError: a number that is not whole and ≥ 1, or a sampler together with `shuffle`.
    """
    _check_positive("count", count)
    _check_positive("batch_size", batch_size)
    if sampler is not None and shuffle:
        raise BlitzError("shuffle must be left out if a sampler is given, because the sampler has its own order")
    (generator or default_generator).random()
    if sampler is None:
        sampler = RandomSampler(count, generator=generator) if shuffle else range(count)
    return _batch(sampler, batch_size, drop_last)


def _batch(sampler, batch_size: int, drop_last: bool) -> Iterator[list[int]]:
    indices = iter(sampler)
    while batch := list(islice(indices, batch_size)):
        if drop_last and len(batch) < batch_size:
            return
        yield batch


def random_split(
    count: int, lengths: Sequence[int | float], generator: Generator = default_generator
) -> list[np.ndarray]:
    """Return the indices of the parts of a data set split at random, as `torch.utils.data.random_split`.

    Args:
        count: size of the data set.
        lengths: sizes of the parts, which add up to `count`, or fractions, which add up to 1; what the fractions
            leave over goes to the parts in turn, one each.
        generator: to draw from.

    Returns:
        An array (length,) int64 for each part.

    Raises:
        BlitzError: the lengths do not add up, or are negative.
    """
    if any(length < 0 for length in lengths):
        raise BlitzError(f"lengths must be ≥ 0, not {list(lengths)}")
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        lengths = _lengths_of(count, lengths)
    if sum(lengths) != count:
        raise BlitzError(f"lengths must add up to {count}, or to 1 as fractions, not to {sum(lengths)}")
    indices = generator.randperm(count)
    return [indices[end - length : end] for end, length in zip(accumulate(lengths), lengths, strict=True)]


def _lengths_of(count: int, fractions: Sequence[float]) -> list[int]:
    lengths = [math.floor(count * fraction) for fraction in fractions]
    for index in range(count - sum(lengths)):
        lengths[index % len(lengths)] += 1
    for index, length in enumerate(lengths):
        if length == 0:
            warnings.warn(f"part {index} of the split is empty", stacklevel=3)
    return lengths


def _check_positive(name: str, number: int) -> None:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise BlitzError(f"{name} must be a whole number ≥ 1, not {number!r}")
