"""PyTorch's CPU random numbers in NumPy, bit for bit, without PyTorch.

    keras_blitz.manual_seed(0)
    keras_blitz.random.rand(2, 3)       # the bits of torch.manual_seed(0); torch.rand(2, 3)

A `Generator` is PyTorch's, a Mersenne Twister (MT19937); the functions of this module draw from `default_generator`.
Measured against PyTorch 2.13 on x86: no bit of any draw differs, `randn` in float32 included (boxmuller.py says how).
Older releases draw a few things otherwise, such as integers from a range of 2²⁸ on.

Source: aten/native/cpu/DistributionTemplates.h, aten/core/DistributionsHelper.h, torch/nn/functional.py.
"""

import math
import operator
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from keras_blitz import boxmuller
from keras_blitz.errors import BlitzError

__all__ = [
    "Generator",
    "bernoulli",
    "default_generator",
    "dropout2d_mask",
    "dropout_mask",
    "fork_rng",
    "get_state",
    "initial_seed",
    "manual_seed",
    "normal",
    "rand",
    "randint",
    "randn",
    "randperm",
    "seed",
    "set_state",
    "uniform",
]

Size = int | tuple[int, ...]

# What a new torch.Generator() is seeded with (default_rng_seed_val).
_FIRST_SEED = 67280421310721

# The bytes of torch.get_rng_state: seed, words left, seeded, next word, 624 words; the normal number kept in the other
# order of PyTorch's ancestors (x, y, ρ, is there one); then a float32 one that is never used.
_STATE = struct.Struct("<QiiQ624QdddiIfi")
_WORDS = 624

# The range from which an integer takes 64 random bits: at 2²⁸ the remainder of 32 is askew by up to 6 %.
_WIDE = 1 << 28

# The size from which a permutation takes 64 random bits a number.
_LONG = (2**32 - 1) // 20


class Generator:
    """PyTorch's random number generator on the CPU.

    It draws in the order of PyTorch's contiguous tensors: a mask of a channels-last array is drawn as (N, C, H, W).

    Source: aten/core/MT19937RNGEngine.h.
    """

    def __init__(self):
        self.seeded = False  # by the user, and not by its maker
        self._start(_FIRST_SEED)

    def _start(self, seed: int) -> None:
        self._seed = seed
        self._twister = np.random.RandomState(seed & 0xFFFFFFFF)
        self._kept: float | None = None

    def manual_seed(self, seed: int) -> "Generator":
        """Begin the stream of a seed; only its low 32 bits count, as in PyTorch.

        Args:
            seed: a whole number, −2⁶³ … 2⁶⁴ − 1; a negative one stands for itself + 2⁶⁴.

        Raises:
            BlitzError: it is not a whole number, or out of range.
        """
        try:
            number = operator.index(seed)
        except TypeError:
            raise BlitzError(f"seed must be a whole number, not {seed!r}") from None
        if not -(2**63) <= number < 2**64:
            raise BlitzError(f"seed must be from −2⁶³ to 2⁶⁴ − 1, not {number}")
        self._start(number % 2**64)
        self.seeded = True
        return self

    def seed(self) -> int:
        """Begin the stream of a seed that nobody can foresee, and return it."""
        self._start(secrets.randbits(64))
        self.seeded = False
        return self._seed

    def initial_seed(self) -> int:
        """Return the seed, 0 … 2⁶⁴ − 1."""
        return self._seed

    def get_state(self) -> np.ndarray:
        """Return the state, (5056,) uint8: the bytes of `torch.Generator.get_state()`."""
        _, words, at, *_ = self._twister.get_state(legacy=True)
        position = int(at)
        fresh = position == _WORDS and int(words[0]) == self._seed & 0xFFFFFFFF
        left, following = (1, 0) if fresh else (_WORDS + 1 - position, position)
        kept = self._kept is not None
        radius_part = self._kept if kept else 0.0
        packed = _STATE.pack(
            self._seed, left, 1, following, *map(int, words), 0.0, radius_part, 0.0, int(kept), 0, 0.0, 0
        )
        return np.frombuffer(packed, np.uint8).copy()

    def set_state(self, state) -> None:
        """Go on from a state, this class's or `torch.Generator.get_state()`.

        Raises:
            BlitzError: it is not the state of such a generator.
        """
        packed = np.asarray(state)
        if packed.dtype != np.uint8 or packed.shape != (_STATE.size,):
            raise BlitzError(
                f"state must be {_STATE.size} bytes (uint8) of get_state(), not {packed.dtype} of shape {packed.shape}"
            )
        self._seed, left, seeded, following, *words, _, kept, _, has_kept, _, _, _ = _STATE.unpack(packed.tobytes())
        if not (seeded == 1 and 1 <= left <= _WORDS and following <= _WORDS and max(words) < 2**32):
            raise BlitzError("state is not that of a Mersenne Twister: its counters are out of range")
        position = _WORDS if left == 1 else following
        self._twister.set_state(("MT19937", np.array(words, np.uint32), position, 0, 0.0))
        self._kept = kept if has_kept else None
        self.seeded = True

    def skip(self, count: int) -> None:
        """Leave out `count` numbers of 32 bits."""
        for start in range(0, count, 1 << 20):
            self._bits32(min(1 << 20, count - start))

    def rand(self, *size: int, dtype: str = "float32") -> np.ndarray:
        """Draw uniform numbers of [0, 1): multiples of 2⁻²⁴ in float32, of 2⁻⁵³ in float64."""
        size = _shape(size)
        return self._unit(math.prod(size), dtype).reshape(size)

    def uniform(self, low: float, high: float, size: Size, dtype: str = "float32") -> np.ndarray:
        """Draw uniform numbers of [low, high), as `torch.empty(size).uniform_(low, high)`.

        u·(high − low) + low, u of [0, 1), the product and the sum rounded once

        Raises:
            BlitzError: low > high.
        """
        if not low <= high:
            raise BlitzError(f"uniform needs low ≤ high, not {low} and {high}")
        size = _shape(size)
        kind = np.dtype(dtype).type
        low, high = kind(low), kind(high)
        values = boxmuller.fma(self._unit(math.prod(size), dtype), high - low, low)
        values[values == high] = low
        return values.reshape(size)

    def randn(self, *size: int, dtype: str = "float32") -> np.ndarray:
        """Draw normal numbers, mean 0 and standard deviation 1."""
        return self.normal(0.0, 1.0, size, dtype)

    def normal(self, mean: float, std: float, size: Size, dtype: str = "float32") -> np.ndarray:
        """Draw normal numbers z·std + mean, as `torch.empty(size).normal_(mean, std)`.

        From 16 numbers on they are made sixteen at a time of that many uniform ones; what is left at the end makes the
        last 16 be drawn again. Fewer are made in float64 two at a time, and the second one is kept for the next call.

        Raises:
            BlitzError: std < 0.
        """
        if not std >= 0:
            raise BlitzError(f"std must be ≥ 0, not {std}")
        size = _shape(size)
        count = math.prod(size)
        kind = _floating(dtype)
        if count < 16:
            values = np.array([self._next_normal() for _ in range(count)], np.float64)
            return boxmuller.fma(values, std, mean).astype(kind).reshape(size)
        uniforms = self._unit(count, dtype)
        values = np.empty(count, kind)
        whole = count - count % 16
        values[:whole] = boxmuller.normals(uniforms[:whole], mean, std)
        if count > whole:
            values[whole:] = uniforms[whole:]
            values[-16:] = boxmuller.normals(self._unit(16, dtype), mean, std)
        return values.reshape(size)

    def randint(self, low: int, high: int, size: Size) -> np.ndarray:
        """Draw whole numbers of [low, high), int64: 32 random bits modulo high − low, 64 from a range of 2²⁸.

        Raises:
            BlitzError: low ≥ high, or they are not whole numbers of int64.
        """
        try:
            low, high = operator.index(low), operator.index(high)
        except TypeError:
            raise BlitzError(f"randint needs whole numbers, not {low!r} and {high!r}") from None
        if not -(2**63) <= low < high < 2**63:
            raise BlitzError(f"randint needs low < high within int64, not {low} and {high}")
        size = _shape(size)
        bits = (self._bits64 if high - low >= _WIDE else self._bits32)(math.prod(size)).astype(np.uint64)
        # Unsigned arithmetic wraps around as PyTorch's does; int64 reads the same bits.
        return (bits % np.uint64(high - low) + np.uint64(low % 2**64)).view(np.int64).reshape(size)

    def random(self, size: Size = ()) -> np.ndarray:
        """Draw whole numbers of [0, 2⁶³), as `torch.empty(size, dtype=torch.int64).random_()`; seeds of samplers."""
        size = _shape(size)
        return (self._bits64(math.prod(size)) & np.uint64(2**63 - 1)).astype(np.int64).reshape(size)

    def randperm(self, n: int) -> np.ndarray:
        """Draw a permutation of 0 … n − 1, (n,) int64.

        for i = 0 … n − 2: swap(i, i + r mod (n − i)), r of 32 bits

        Raises:
            BlitzError: n < 0, or from 214,748,364 on, where PyTorch's algorithm is another.
        """
        if not 0 <= n < _LONG:
            raise BlitzError(f"randperm needs 0 ≤ n < {_LONG}, not {n}")
        steps = np.arange(max(n - 1, 0))
        others = (steps + self._bits32(len(steps)) % (n - steps)).tolist()
        numbers = list(range(n))
        for step, other in enumerate(others):
            numbers[step], numbers[other] = numbers[other], numbers[step]
        return np.array(numbers, np.int64)

    def bernoulli(self, p, size: Size | None = None) -> np.ndarray:
        """Draw ones with probability p and zeros otherwise.

        Args:
            p: 0–1. With `size` one number, whatever its type: as `torch.empty(size).bernoulli_(p)`, 53 random bits a
                value. Without `size` an array, as `torch.bernoulli(p)`: 24 bits a value in float32, 53 in float64.
            size: shape of the result.

        Returns:
            float32, or the type of the array p.

        Raises:
            BlitzError: p is not 0–1, or an array of another type than float32 and float64.
        """
        p = np.asarray(p)
        if not np.all((p >= 0) & (p <= 1)):
            raise BlitzError("bernoulli: p must be from 0 to 1")
        if size is not None:
            return self._below(float(p), _shape(size)).astype(np.float32)
        kind = _floating(p.dtype)
        return (self._unit(p.size, p.dtype).reshape(p.shape) < p).astype(kind)

    def dropout_mask(
        self, shape: tuple[int, ...], p: float = 0.5, dtype: str = "float32", channels_last: bool = False
    ) -> np.ndarray:
        """Draw what `torch.nn.functional.dropout` multiplies by: 0 with probability p, otherwise 1/(1 − p).

        For p = 0 and p = 1 nothing is drawn, as in PyTorch.

        Args:
            shape: of the input, (N, C, …) in PyTorch's order.
            p: 0–1.
            dtype: type of the mask; float32 and float64 keep the same values.
            channels_last: `shape` and the mask are (N, …, C); the stream is that of the PyTorch input all the same.
                `layer.mask = partial(dropout_mask, p=0.5, channels_last=True)` gives it to a layer of this package.

        Raises:
            BlitzError: p is not 0–1.
        """
        if not 0 <= p <= 1:
            raise BlitzError(f"dropout needs 0 ≤ p ≤ 1, not {p}")
        kind = _floating(dtype)
        if channels_last:
            first = (shape[0], shape[-1], *shape[1:-1]) if len(shape) > 2 else tuple(shape)
            mask = self.dropout_mask(first, p, dtype)
            return np.moveaxis(mask, 1, -1) if len(shape) > 2 else mask
        if p in (0, 1):
            return np.full(shape, 1 - p, kind)
        return self._below(1 - p, shape).astype(kind) * (kind(1) / kind(1 - p))

    def dropout2d_mask(
        self, shape: tuple[int, ...], p: float = 0.5, dtype: str = "float32", channels_last: bool = False
    ) -> np.ndarray:
        """Draw what `torch.nn.functional.dropout2d` multiplies by, one number per channel.

        Args:
            shape: of the input, (N, C, H, W), or (N, H, W, C) with `channels_last`.
            p: 0–1.
            dtype: type of the mask.
            channels_last: the mask is (N, 1, 1, C), otherwise (N, C, 1, 1).

        Raises:
            BlitzError: p is not 0–1.
        """
        batch, channels, ones = shape[0], shape[-1 if channels_last else 1], (1,) * (len(shape) - 2)
        mask = self.dropout_mask((batch, channels), p, dtype)
        return mask.reshape((batch, *ones, channels) if channels_last else (batch, channels, *ones))

    def _below(self, p: float, size: tuple[int, ...]) -> np.ndarray:
        return (self._unit(math.prod(size), np.float64) < p).reshape(size)

    def _bits32(self, count: int) -> np.ndarray:
        return self._twister.randint(0, 2**32, count, np.uint32)

    def _bits64(self, count: int) -> np.ndarray:
        pairs = self._bits32(2 * count).astype(np.uint64)
        return pairs[0::2] << np.uint64(32) | pairs[1::2]

    def _unit(self, count: int, dtype) -> np.ndarray:
        if _floating(dtype) is np.float32:
            return (self._bits32(count) & np.uint32(2**24 - 1)).astype(np.float32) * np.float32(2.0**-24)
        return (self._bits64(count) & np.uint64(2**53 - 1)).astype(np.float64) * 2.0**-53

    def _next_normal(self) -> float:
        if self._kept is None:
            value, self._kept = boxmuller.pair_of_normals(*self._unit(2, np.float64).tolist())
            return value
        value, self._kept = self._kept, None
        return value


def _shape(size) -> tuple[int, ...]:
    """Return the shape that PyTorch reads in 3, (2, 3) and, where sizes come one by one, in ((2, 3),)."""
    if isinstance(size, int | np.integer):
        return (int(size),)
    return _shape(size[0]) if len(size) == 1 else tuple(size)


def _floating(dtype) -> type:
    kind = np.dtype(dtype).type
    if kind not in (np.float32, np.float64):
        raise BlitzError(f"dtype must be float32 or float64, not {dtype}")
    return kind


default_generator = Generator()
default_generator.seed()

bernoulli = default_generator.bernoulli
dropout2d_mask = default_generator.dropout2d_mask
dropout_mask = default_generator.dropout_mask
get_state = default_generator.get_state
initial_seed = default_generator.initial_seed
manual_seed = default_generator.manual_seed
normal = default_generator.normal
rand = default_generator.rand
randint = default_generator.randint
randn = default_generator.randn
randperm = default_generator.randperm
seed = default_generator.seed
set_state = default_generator.set_state
uniform = default_generator.uniform


@contextmanager
def fork_rng() -> Iterator[None]:
    """Leave the default generator after the block as it was before; `torch.random.fork_rng`."""
    state, seeded = default_generator.get_state(), default_generator.seeded
    try:
        yield
    finally:
        default_generator.set_state(state)
        default_generator.seeded = seeded
