"""L5: pooling over one, two and three axes against torch.nn: maxima, means, p-norms, and to a given size."""

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from keras_blitz import layers

pytestmark = pytest.mark.covers("L5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_same, images, over  # noqa: E402

nn = torch.nn
small = st.integers(1, 3)
three = st.tuples(small, small, small)
sizes = st.tuples(*[st.integers(3, 7)] * 3)
pads = st.tuples(*[st.integers(0, 1)] * 3)
seeds = st.integers(0, 2**16)
ranks = st.sampled_from([1, 3])  # 2 in test_layers.py


def cut(rank, padding, kernel, *others):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    return [None if each is None else each[:rank] for each in (padding, kernel, *others)]


@over(
    few=12, rank=ranks, seed=seeds, size=sizes, kernel=three, stride=st.none() | three, padding=pads, dilation=three,
    ceil_mode=st.booleans(), ties=st.booleans(),
)  # fmt: skip
def test_max_pool(rank, seed, size, kernel, stride, padding, dilation, ceil_mode, ties):
    padding, kernel, size, stride, dilation = cut(rank, padding, kernel, size, stride, dilation)
    assume(all(n + 2 * p > d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)))
    layer = getattr(layers, f"MaxPool{rank}d")(kernel, stride, padding, dilation, ceil_mode, dtype="float64")
    assume(every_window_has_a_value(layer, size))
    module = getattr(nn, f"MaxPool{rank}d")(kernel, stride, padding, dilation, ceil_mode=ceil_mode)
    assert_same(module, layer, images(seed, 2, 2, *size, integers=ties), exact=True)


def every_window_has_a_value(layer, size) -> bool:
    """Whether no window is entirely in the padding, where PyTorch 2.13's gradient writes outside its memory."""
    outputs = layer.compute_output_shape((1, *size, 1))[1:-1]
    geometry = zip(size, outputs, layer.kernel_size, layer.stride, layer.padding, layer.dilation, strict=True)
    return all(
        any(0 <= start + tap * dilation < length for tap in range(kernel))
        for length, count, kernel, stride, padding, dilation in geometry
        for start in range(-padding, count * stride - padding, stride)
    )


@over(
    few=12, rank=ranks, seed=seeds, size=sizes, kernel=three, stride=st.none() | three, padding=pads,
    ceil_mode=st.booleans(), count=st.booleans(), divisor=st.none() | st.integers(1, 5),
)  # fmt: skip
def test_avg_pool(rank, seed, size, kernel, stride, padding, ceil_mode, count, divisor):
    padding, kernel, size, stride = cut(rank, padding, kernel, size, stride)
    more = () if rank == 1 else (divisor,)
    module = getattr(nn, f"AvgPool{rank}d")(kernel, stride, padding, ceil_mode, count, *more)
    layer = getattr(layers, f"AvgPool{rank}d")(kernel, stride, padding, ceil_mode, count, *more, dtype="float64")
    assert_same(module, layer, images(seed, 2, 2, *size))


@over(
    few=15, rank=st.integers(1, 3), seed=seeds, size=sizes, kernel=three, stride=st.none() | three,
    ceil_mode=st.booleans(), norm=st.sampled_from([1, 2, 3, 2.5]),
)  # fmt: skip
def test_lp_pool(rank, seed, size, kernel, stride, ceil_mode, norm):
    _, kernel, size, stride = cut(rank, (0,) * 3, kernel, size, stride)
    array = images(seed, 2, 2, *size)
    array = array if norm == 2 else np.abs(array)
    numbers = [each[0] if each and rank == 1 else each for each in (kernel, stride)]  # its LPPool1d takes no tuples
    module = getattr(nn, f"LPPool{rank}d")(norm, *numbers, ceil_mode)
    assert_same(module, getattr(layers, f"LPPool{rank}d")(norm, kernel, stride, ceil_mode, dtype="float64"), array)


@over(few=12, rank=st.integers(1, 3), seed=seeds, size=sizes, output=sizes, kept=st.booleans(), ties=st.booleans())
def test_adaptive_pools(rank, seed, size, output, kept, ties):
    array = images(seed, 2, 2, *size[:rank], integers=ties)
    output = (None, *output[1:rank]) if kept and rank > 1 else output[:rank]
    for kind in ("Avg", "Max"):
        module = getattr(nn, f"Adaptive{kind}Pool{rank}d")(output)
        layer = getattr(layers, f"Adaptive{kind}Pool{rank}d")(output, dtype="float64")
        assert_same(module, layer, array, exact=kind == "Max")


def test_a_global_mean_needs_no_sizes():
    assert_same(nn.AdaptiveAvgPool3d(1), layers.AdaptiveAvgPool3d(1, dtype="float64"), images(0, 2, 3, 2, 3, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.MaxPool1d(2, padding=2), "padding must be at most half of kernel_size"),
        (lambda: layers.AvgPool3d(2, divisor_override=0), "divisor_override must not be zero"),
        (lambda: layers.AdaptiveAvgPool3d((2, 2)), r"or 3 of them or None, not \(2, 2\)"),
        (lambda: layers.AdaptiveMaxPool1d(0), "output_size must be a whole number ≥ 1"),
    ],
)
def test_arguments_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
