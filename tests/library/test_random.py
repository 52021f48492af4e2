"""R1, R3, R4: the random stream, bit for bit, against PyTorch and against what was recorded from it.

python tests/library/test_random.py      records tests/library/golden_random.npz again; needs PyTorch
"""

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from keras_blitz import boxmuller, random
from keras_blitz.data import RandomSampler, batches, random_split
from keras_blitz.errors import BlitzError

pytestmark = pytest.mark.covers("R1", "R3", "R4")

GOLDEN = Path(__file__).with_name("golden_random.npz")
SEEDS = (0, 1, 42, -3, 2**40 + 7)
WIDE = 2**28
# The last two are so far out that numbers round up to the bound, which does not belong to them.
BOUNDS = ((-0.2, 0.2), (0.3, 0.7), (5, 5), (2**23, 2**23 + 2), (2**52, 2**52 + 2))


def table() -> dict:
    """Return name -> (what ours draws, what PyTorch draws), each a list of arrays from the default generator."""
    rows = {}

    def add(name, ours, theirs):
        rows[name] = (ours, theirs)

    for dtype in ("float32", "float64"):
        add(
            f"rand-{dtype}",
            lambda dtype=dtype: [random.rand(3, 7, dtype=dtype), random.rand(0, dtype=dtype), random.rand(dtype=dtype)],
            lambda torch, dtype=dtype: [torch.rand(size, dtype=getattr(torch, dtype)) for size in ((3, 7), (0,), ())],
        )
        add(
            f"uniform-{dtype}",
            lambda dtype=dtype: [random.uniform(*bounds, 99, dtype) for bounds in BOUNDS],
            lambda torch, dtype=dtype: [torch.empty(99, dtype=getattr(torch, dtype)).uniform_(*bounds)
                                        for bounds in BOUNDS],
        )  # fmt: skip
        for size in (1, 2, 15, 16, 17, 31, 32, 33, 100):
            add(
                f"randn-{size}-{dtype}",
                lambda size=size, dtype=dtype: [random.randn(size, dtype=dtype)],
                lambda torch, size=size, dtype=dtype: [torch.randn(size, dtype=getattr(torch, dtype))],
            )
        for size in (7, 50):
            add(
                f"normal-{size}-{dtype}",
                lambda size=size, dtype=dtype: [random.normal(0.3, 0.7, (size, 1), dtype)],
                lambda torch, size=size, dtype=dtype: [
                    torch.empty((size, 1), dtype=getattr(torch, dtype)).normal_(0.3, 0.7)
                ],
            )
        # The second number of a pair is kept over other draws, and over one of the other type.
        add(
            f"randn-kept-{dtype}",
            lambda dtype=dtype: [random.randn(3, dtype=dtype), random.randn(16), random.rand(2), random.randn(2),
                                 random.randn(4, dtype=dtype)],
            lambda torch, dtype=dtype: [torch.randn(3, dtype=getattr(torch, dtype)), torch.randn(16), torch.rand(2),
                                        torch.randn(2), torch.randn(4, dtype=getattr(torch, dtype))],
        )  # fmt: skip
        add(
            f"bernoulli-array-{dtype}",
            lambda dtype=dtype: [random.bernoulli(np.linspace(0, 1, 60).astype(dtype).reshape(6, 10))],
            lambda torch, dtype=dtype: [
                torch.bernoulli(torch.from_numpy(np.linspace(0, 1, 60).astype(dtype).reshape(6, 10)))
            ],
        )
        for p in (0.0, 0.1, 0.3, 0.5, 1.0):
            add(
                f"dropout-{p}-{dtype}",
                lambda p=p, dtype=dtype: [random.dropout_mask((2, 3, 4, 5), p, dtype)],
                lambda torch, p=p, dtype=dtype: [
                    torch.nn.functional.dropout(torch.ones(2, 3, 4, 5, dtype=getattr(torch, dtype)), p)
                ],
            )
            add(
                f"dropout2d-{p}-{dtype}",
                lambda p=p, dtype=dtype: [np.broadcast_to(random.dropout2d_mask((7, 9, 2, 3), p, dtype), (7, 9, 2, 3))],
                lambda torch, p=p, dtype=dtype: [
                    torch.nn.functional.dropout2d(torch.ones(7, 9, 2, 3, dtype=getattr(torch, dtype)), p)
                ],
            )
    for name, low, high in (
        ("small", 0, 10), ("negative", -7, 8), ("below-wide", 0, WIDE - 1), ("wide", 0, WIDE),
        ("wide-negative", -(2**40), 2**41), ("all", -(2**63), 2**63 - 1),
    ):  # fmt: skip
        add(
            f"randint-{name}",
            lambda low=low, high=high: [random.randint(low, high, (4, 5))],
            lambda torch, low=low, high=high: [torch.randint(low, high, (4, 5))],
        )
    add(
        "random",
        lambda: [random.default_generator.random(9), random.default_generator.random()],
        lambda torch: [torch.empty(9, dtype=torch.int64).random_(), torch.empty((), dtype=torch.int64).random_()],
    )
    for n in (0, 1, 2, 10, 1000):
        add(f"randperm-{n}", lambda n=n: [random.randperm(n)], lambda torch, n=n: [torch.randperm(n)])
    add("bernoulli", lambda: [random.bernoulli(0.3, (8, 9))], lambda torch: [torch.empty(8, 9).bernoulli_(0.3)])

    for name, count, options in (
        ("shuffled", 23, {"batch_size": 4, "shuffle": True}),
        ("in-order", 23, {"batch_size": 4}),
        ("drop-last", 23, {"batch_size": 4, "shuffle": True, "drop_last": True}),
        ("whole-batches", 24, {"batch_size": 4, "shuffle": True, "drop_last": True}),
    ):
        add(
            f"loader-{name}",
            partial(_epochs, _our_loader, count, options),
            partial(_their_epochs, count, options),
        )
        add(
            f"loader-{name}-generator",
            partial(_epochs, _our_loader, count, options, own_generator=True),
            partial(_their_epochs, count, options, own_generator=True),
        )
    for name, options in (
        ("replacement", {"replacement": True, "num_samples": 70}),
        ("replacement-whole", {"replacement": True, "num_samples": 64}),
        ("fewer", {"num_samples": 7}),
        ("more", {"num_samples": 25}),
    ):
        for own in (False, True):
            add(
                f"sampler-{name}{'-generator' if own else ''}",
                partial(_our_sampler, options, own),
                partial(_their_sampler, options, own),
            )
    for name, count, lengths in (
        ("lengths", 10, [3, 7]), ("fractions", 31, [0.3, 0.3, 0.4]), ("tenths", 10, [0.1] * 10), ("one", 1, [1]),
    ):  # fmt: skip
        add(
            f"split-{name}",
            lambda count=count, lengths=lengths: random_split(count, lengths),
            lambda torch, count=count, lengths=lengths: [
                np.array(part.indices, np.int64)
                for part in torch.utils.data.random_split(range(count), lengths, torch.default_generator)
            ],
        )
    return rows


def _epochs(loader, count, options, own_generator=False):
    """Three epochs, with a draw in between that must not fall out of step."""
    iterate, draw = loader(count, options, own_generator)
    found = []
    for _ in range(3):
        found += [np.array([len(batch), *batch]) for batch in iterate()]
        found.append(np.asarray(draw()))
    return found


def _our_loader(count, options, own_generator):
    generator = random.Generator().manual_seed(5) if own_generator else None
    return partial(batches, count, generator=generator, **options), partial(random.rand, 1)


def _their_epochs(count, options, torch, own_generator=False):
    def loader(count, options, own_generator):
        generator = torch.Generator().manual_seed(5) if own_generator else None
        made = torch.utils.data.DataLoader(range(count), generator=generator, collate_fn=list, **options)
        return made.__iter__, partial(torch.rand, 1)

    return _epochs(loader, count, options, own_generator)


def _our_sampler(options, own_generator):
    generator = random.Generator().manual_seed(5) if own_generator else None
    sampler = RandomSampler(10, generator=generator, **options)
    return [np.array(list(sampler)) for _ in range(2)]


def _their_sampler(options, own_generator, torch):
    generator = torch.Generator().manual_seed(5) if own_generator else None
    sampler = torch.utils.data.RandomSampler(range(10), generator=generator, **options)
    return [np.array(list(sampler)) for _ in range(2)]


CASES = table()


def ours(name, seed):
    """Draw, and then once more: what comes next shows how much the case took of the stream."""
    random.manual_seed(seed)
    return [*CASES[name][0](), random.rand(1)]


def theirs(name, seed):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [np.asarray(array) for array in (*CASES[name][1](torch=torch), torch.rand(1))]


def packed(arrays):
    """Return types, shapes and bits; half the file would be headers if each array were kept by itself."""
    return b"".join(f"{array.dtype}{array.shape}".encode() + array.tobytes() for array in arrays)


def assert_same_bits(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


@pytest.fixture(autouse=True)
def _stream_kept():
    with random.fork_rng():
        yield


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_bits_are_those_recorded_from_pytorch(name, seed, golden):
    assert packed(ours(name, seed)) == golden[f"{name}/{seed}"].tobytes()


@pytest.mark.torch
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_bits_are_pytorchs(name, seed):
    assert_same_bits(ours(name, seed), theirs(name, seed))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_million_normal_numbers_are_pytorchs(dtype):
    import torch

    found = random.Generator().manual_seed(3).randn(1_000_003, dtype=dtype)
    expected = torch.randn(1_000_003, dtype=getattr(torch, dtype), generator=torch.Generator().manual_seed(3))
    assert_same_bits([found], [expected.numpy()])


def test_fused_product_and_sum_is_rounded_once():
    numbers = np.random.RandomState(0)
    a, exponents = numbers.randn(500), numbers.randint(-60, 60, 500)
    cases = [(a, b, c * 2.0**exponent) for b, c, exponent in zip(a[::-1], a[::7], exponents, strict=False)]
    cases.append((np.array([1 + 2.0**-52]), 1 - 2.0**-52, 2.0**53 + 2))  # 1 − 2⁻¹⁰⁴ is a hair below the tie
    for a, b, c in cases:
        expected = [float(Fraction(float(x)) * Fraction(float(b)) + Fraction(float(c))) for x in a]
        assert boxmuller.fma(a, b, c).tolist() == expected


@pytest.mark.torch
@pytest.mark.parametrize("draws", [0, 5, 617, 618, 619, 624])
@pytest.mark.parametrize("seed", [0, -3, 2**40 + 7])
def test_state_is_pytorchs_byte_for_byte(seed, draws):
    import torch

    generator, other = random.Generator(), torch.Generator()
    assert_same_bits([generator.get_state()], [other.get_state().numpy()])
    generator.manual_seed(seed)
    other.manual_seed(seed)
    assert generator.initial_seed() == other.initial_seed()
    for _ in range(2):
        generator.randn(3)
        torch.randn(3, generator=other)
        generator.rand(draws)
        torch.rand(draws, generator=other)
        assert_same_bits([generator.get_state()], [other.get_state().numpy()])
        taken = random.Generator()
        taken.set_state(other.get_state())
        state = other.get_state()
        assert_same_bits([taken.randn(700)], [torch.randn(700, generator=other).numpy()])
        other.set_state(state)


@pytest.mark.parametrize("draws", [0, 1, 623, 624, 700])
def test_state_goes_on_where_it_was_taken(draws):
    generator = random.Generator().manual_seed(9)
    generator.randn(3)
    generator.skip(draws)
    state = generator.get_state()
    expected = [generator.randn(2), generator.rand(9), generator.randperm(30)]
    again = random.Generator()
    again.set_state(state)
    assert_same_bits([again.randn(2), again.rand(9), again.randperm(30)], expected)


@pytest.mark.parametrize("draw", ["rand", "randn"])
def test_sizes_come_one_by_one_or_together(draw):
    shapes = [getattr(random, draw)(*size).shape for size in ((2, 3), ((2, 3),), ([2, 3],), (np.int64(4),), ((),), ())]
    assert shapes == [(2, 3), (2, 3), (2, 3), (4,), (), ()]


def test_skip_leaves_out_as_many_numbers():
    generator, other = random.Generator().manual_seed(1), random.Generator().manual_seed(1)
    generator.skip(1_100_000)
    assert other.rand(1_100_005)[-5:].tolist() == generator.rand(5).tolist()


def test_generators_are_apart_and_a_new_one_has_pytorchs_first_seed():
    random.manual_seed(4)
    first, second = random.Generator(), random.Generator()
    assert first.initial_seed() == 67280421310721
    assert first.rand(3).tolist() == second.rand(3).tolist()
    second.rand(1)
    assert random.rand(3).tolist() == random.Generator().manual_seed(4).rand(3).tolist()


def test_fork_rng_gives_the_stream_back_even_after_an_error():
    random.manual_seed(2)
    with pytest.raises(KeyError), random.fork_rng():
        random.seed()
        random.randn(3)
        raise KeyError
    assert random.default_generator.seeded
    assert random.rand(1).tolist() == random.Generator().manual_seed(2).rand(1).tolist()


def test_seed_cannot_be_foreseen_and_is_told():
    assert random.seed() != random.seed()
    assert random.Generator().manual_seed(random.seed()).rand(2).tolist() == random.rand(2).tolist()


@pytest.mark.parametrize(("seed", "same"), [(-1, 2**64 - 1), (5, 2**32 + 5), (np.int64(3), 3), (-(2**63), 2**63)])
def test_seeds_that_pytorch_takes_for_one(seed, same):
    assert (
        random.Generator().manual_seed(seed).rand(4).tolist() == random.Generator().manual_seed(same).rand(4).tolist()
    )


@pytest.mark.parametrize("layout", ["dense", "image"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_masks_for_channels_last_layers_are_pytorchs_transposed(layout, dtype):
    torch_shape, shape = {"dense": ((4, 6), (4, 6)), "image": ((2, 3, 4, 5), (2, 4, 5, 3))}[layout]
    expected = random.Generator().manual_seed(0).dropout_mask(torch_shape, 0.3, dtype)
    found = random.Generator().manual_seed(0).dropout_mask(shape, 0.3, dtype, channels_last=True)
    np.testing.assert_array_equal(found, np.moveaxis(expected, 1, -1))
    expected = random.Generator().manual_seed(0).dropout2d_mask((2, 3, 4, 5), 0.3, dtype)
    found = random.Generator().manual_seed(0).dropout2d_mask((2, 4, 5, 3), 0.3, dtype, channels_last=True)
    assert found.shape == (2, 1, 1, 3)
    np.testing.assert_array_equal(found, np.moveaxis(expected, 1, -1))


@pytest.mark.torch
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["Dropout", "Dropout2d"])
def test_layer_drops_what_pytorch_drops(kind, dtype):
    import torch

    from keras_blitz import layers

    images = np.random.RandomState(0).randn(2, 3, 5, 4).astype(dtype)
    module, layer = getattr(torch.nn, kind)(0.3), getattr(layers, kind)(0.3, dtype=dtype)
    draw = {"Dropout": random.dropout_mask, "Dropout2d": random.dropout2d_mask}[kind]
    layer.mask = partial(draw, p=0.3, dtype=dtype, channels_last=True)
    random.manual_seed(7)
    found = layer(images.transpose(0, 2, 3, 1), training=True).numpy()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        expected = module(torch.from_numpy(images)).numpy()
    np.testing.assert_array_equal(found.transpose(0, 3, 1, 2), expected)
    assert 0 < np.count_nonzero(expected) < expected.size


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: random.manual_seed("a"), "seed must be a whole number, not 'a'", id="seed-text"),
        pytest.param(lambda: random.manual_seed(1.5), "seed must be a whole number, not 1.5", id="seed-fraction"),
        pytest.param(lambda: random.manual_seed(2**64), "seed must be from", id="seed-too-large"),
        pytest.param(lambda: random.manual_seed(-(2**63) - 1), "seed must be from", id="seed-too-small"),
        pytest.param(lambda: random.rand(2, dtype="int32"), "float32 or float64, not int32", id="dtype"),
        pytest.param(lambda: random.uniform(1, 0, 3), "low ≤ high, not 1 and 0", id="uniform"),
        pytest.param(lambda: random.normal(0, -1, 3), "std must be ≥ 0, not -1", id="std"),
        pytest.param(lambda: random.randint(3, 3, 2), "low < high within int64, not 3 and 3", id="randint-empty"),
        pytest.param(lambda: random.randint(0, 2**63, 2), "within int64", id="randint-too-wide"),
        pytest.param(lambda: random.randint(0, 1.5, 2), "whole numbers, not 0 and 1.5", id="randint-fraction"),
        pytest.param(lambda: random.randperm(-1), "randperm needs 0 ≤ n", id="randperm"),
        pytest.param(lambda: random.bernoulli(1.1, 3), "p must be from 0 to 1", id="bernoulli"),
        pytest.param(lambda: random.bernoulli(float("nan"), 3), "p must be from 0 to 1", id="bernoulli-nan"),
        pytest.param(lambda: random.dropout_mask((2, 3), 1.1), "0 ≤ p ≤ 1, not 1.1", id="dropout"),
        pytest.param(lambda: random.set_state(np.zeros(3)), "5056 bytes", id="state-size"),
        pytest.param(lambda: random.set_state(np.zeros(5056, np.uint8)), "out of range", id="state-values"),
        pytest.param(lambda: RandomSampler(0), "count must be a whole number ≥ 1, not 0", id="sampler-count"),
        pytest.param(lambda: RandomSampler(3, num_samples=0), "num_samples must be", id="sampler-samples"),
        pytest.param(lambda: batches(3, 0), "batch_size must be a whole number ≥ 1, not 0", id="batch-size"),
        pytest.param(lambda: batches(3, 1, True, sampler=[0]), "shuffle must be left out", id="sampler-and-shuffle"),
        pytest.param(lambda: random_split(10, [3, 6]), "add up to 10, or to 1 as fractions, not to 9", id="split-sum"),
        pytest.param(lambda: random_split(10, [-3, 13]), "lengths must be ≥ 0", id="split-negative"),
    ],
)
def test_bad_argument_is_one_clear_line(call, says):
    with pytest.raises(BlitzError, match=says):
        call()


def test_empty_part_of_a_split_warns():
    with pytest.warns(UserWarning, match="part 2 of the split is empty"):
        assert [len(part) for part in random_split(2, [0.4, 0.3, 0.3])] == [1, 1, 0]


@pytest.mark.covers("D5")
def test_sampler_of_its_own_is_taken_in_its_order():
    assert list(batches(9, 2, sampler=[4, 1, 8])) == [[4, 1], [8]]
    assert len(RandomSampler(9, num_samples=4)) == 4


def record() -> None:
    """Write what PyTorch draws."""
    drawn = {f"{name}/{seed}": packed(theirs(name, seed)) for name in CASES for seed in SEEDS}
    np.savez_compressed(GOLDEN, **{key: np.frombuffer(data, np.uint8) for key, data in drawn.items()})


if __name__ == "__main__":
    record()
