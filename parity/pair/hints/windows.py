"""Reasons why a convolution or a pooling layer differs: what is padded, where, and which windows are taken."""

from functools import partial

import keras
import numpy as np

from keras_blitz.weights import kinds
from parity.core.difference import measure
from parity.pair.hints.clue import Clue, Hint, called_with

VALID = {"padding": "valid", "activation": keras.activations.linear}
MODES = {"reflect": "reflect", "circular": "wrap", "replicate": "edge"}  # PyTorch's padding_mode -> NumPy's
PADDINGS = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
    "zeros": "constant",
}


def _pads(clue: Clue) -> tuple[int, ...]:
    """Return how much PyTorch pads on each side of each axis, () where it is not a number."""
    pads, rank = getattr(clue.module, "padding", None), clue.given.ndim - 2
    if pads is None or isinstance(pads, str):
        return ()
    return (pads,) * rank if isinstance(pads, int) else tuple(pads)


def _is_pool(clue: Clue, word: str) -> bool:
    name = type(clue.layer).__name__
    return word in name and "Pool" in name


def _is_transposed(clue: Clue) -> bool:
    kind = kinds.of_keras(clue.layer)
    return kind is not None and kind.name.startswith("convtranspose")


def _is_convolution(clue: Clue) -> bool:
    return hasattr(clue.layer, "kernel") and not _is_transposed(clue)


def _padded(array: np.ndarray, pads: tuple[int, ...], value: float = 0.0) -> np.ndarray:
    return np.pad(array, [(0, 0), *((p, p) for p in pads), (0, 0)], constant_values=value)


def _inside(array: np.ndarray, pads: tuple[int, ...]) -> np.ndarray:
    """Return an array without its border of zeros, itself where it has none."""
    inner = array[(slice(None), *(slice(p, array.shape[i] - p) for i, p in enumerate(pads, 1)))]
    return inner if np.array_equal(_padded(inner, pads), array) else array


def _same(clue: Clue, value: float) -> str:
    """SAME pads at the end first where PyTorch pads on both sides: try the explicit pads."""
    pads = _pads(clue)
    if not pads or getattr(clue.layer, "padding", None) != "same":
        return ""
    if not clue.agrees(called_with(clue.layer, _padded(clue.given, pads, value), **VALID)):
        return ""
    return f"with {pads} padded on each side and padding='valid' it agrees"


def _same_convolution(clue: Clue) -> str:
    return (
        _same(clue, 0.0) if _is_convolution(clue) and getattr(clue.module, "padding_mode", "zeros") == "zeros" else ""
    )


def _same_maximum(clue: Clue) -> str:
    return _same(clue, -np.inf) if _is_pool(clue, "Max") else ""


def _counted_zeros(clue: Clue) -> str:
    """PyTorch's average counts the zeros it pads with, Keras's does not."""
    said = _same(clue, 0.0) if _is_pool(clue, "Average") and getattr(clue.module, "count_include_pad", False) else ""
    return f"PyTorch counts the zeros that it pads with: {said}" if said else ""


def _uncounted_zeros(clue: Clue) -> str:
    """PyTorch's average does not count what it pads with; a ZeroPadding before Keras's does."""
    pads = _pads(clue)
    if not pads or not _is_pool(clue, "Average") or getattr(clue.module, "count_include_pad", True):
        return ""
    inner = _inside(clue.given, pads)
    counts = called_with(clue.layer, _padded(np.ones_like(inner), pads), **VALID)
    if not clue.agrees(called_with(clue.layer, _padded(inner, pads), **VALID) / counts):
        return ""
    return "PyTorch has count_include_pad=False, and with the zeros left out of the average it agrees"


def _zeros_in_maximum(clue: Clue) -> str:
    """A ZeroPadding before a max pool, where PyTorch pads with −∞."""
    pads = _pads(clue)
    if not any(pads) or not _is_pool(clue, "Max") or clue.layer.padding != "valid":
        return ""
    inner = _inside(clue.given, pads)
    if inner is clue.given or not clue.agrees(called_with(clue.layer, _padded(inner, pads, -np.inf))):
        return ""
    return f"with {pads} padded by −∞ in place of 0 it agrees"


def _padding_mode(clue: Clue) -> str:
    mode, pads = getattr(clue.module, "padding_mode", "zeros"), _pads(clue)
    if mode not in MODES or not pads or not _is_convolution(clue):
        return ""
    inner = clue.given if clue.layer.padding == "same" else _inside(clue.given, pads)
    widths = [(0, 0), *((p, p) for p in pads), (0, 0)]
    padded = np.pad(inner, widths, mode=MODES[mode])  # type: ignore[call-overload]
    if not clue.agrees(called_with(clue.layer, padded, **VALID)):
        return ""
    return f"PyTorch's padding_mode is {mode!r}, Keras pads with zeros, and so padded it agrees"


def _border_before(clue: Clue) -> str:
    """PyTorch pads by a function or a layer of its own before the convolution or pooling; Keras with padding="same"."""
    x = clue.layout.to_torch(clue.given)
    if (
        clue.fed is None
        or clue.fed.ndim != x.ndim
        or not (_is_convolution(clue) or "Pool" in type(clue.layer).__name__)
    ):
        return ""
    more = np.subtract(clue.fed.shape, x.shape)
    if more[:2].any() or (more < 0).any() or not more.any():
        return ""
    for said, mode in PADDINGS.items():
        for low in (more // 2, more - more // 2, 0 * more, more):
            padded = np.pad(x, list(zip(low, more - low, strict=True)), mode=mode)  # type: ignore[call-overload]
            same = measure(clue.fed, padded).relative <= clue.bound
            if same and clue.agrees(called_with(clue.layer, clue.layout.to_keras(padded), **VALID)):
                pads = tuple((int(p), int(q)) for p, q in zip(low[2:], (more - low)[2:], strict=True))
                return f"PyTorch pads {said!r} by {pads} before it, and so padded Keras's, of padding='valid', agrees"
    return ""


def _mirror(clue: Clue) -> str:
    """A layer that does nothing but pad."""
    name = type(clue.module).__name__
    if "Pad" not in name or clue.actual.shape != clue.expected.shape or clue.given.ndim != clue.expected.ndim:
        return ""
    x = clue.layout.to_torch(clue.given)
    low = (
        clue.module.padding[::-2] if not isinstance(clue.module.padding, int) else [clue.module.padding] * (x.ndim - 2)
    )
    sizes = zip(low, x.shape[2:], clue.expected.shape[2:], strict=True)
    widths = [(0, 0), (0, 0), *((p, after - before - p) for p, before, after in sizes)]
    values = {said: np.pad(x, widths, mode=mode) for said, mode in PADDINGS.items()}  # type: ignore[call-overload]
    theirs = next((said for said, value in values.items() if clue.is_expected(value)), "")
    mine = next((said for said, value in values.items() if clue.is_actual(value)), "")
    return f"PyTorch's padding is {theirs!r}, Keras's is {mine!r}" if theirs and mine and theirs != mine else ""


def _transpose(clue: Clue) -> str:
    pads = _pads(clue)
    if not pads or getattr(clue.layer, "padding", None) != "same" or not _is_transposed(clue):
        return ""
    whole = called_with(clue.layer, clue.given, output_padding=None, **VALID)
    sizes = clue.expected.shape[2:]
    ends = [(0, max(0, p + n - w)) for p, n, w in zip(pads, sizes, whole.shape[1:-1], strict=True)]
    whole = np.pad(whole, [(0, 0), *ends, (0, 0)])
    cropped = whole[(slice(None), *(slice(p, p + n) for p, n in zip(pads, sizes, strict=True)))]
    return f"the whole output cropped by {pads} in front agrees" if clue.agrees(cropped) else ""


def _last_window(clue: Clue, word: str) -> str:
    """PyTorch keeps a last window that reaches beyond the end (ceil_mode), Keras drops it."""
    if not getattr(clue.module, "ceil_mode", False) or not _is_pool(clue, word):
        return ""
    windows, strides = (np.atleast_1d(getattr(clue.layer, name)) for name in ("pool_size", "strides"))
    sizes = zip(clue.expected.shape[2:], strides, windows, clue.given.shape[1:-1], strict=True)
    ends = [(0, 0), *((0, max(0, int((n - 1) * s + w - have))) for n, s, w, have in sizes), (0, 0)]
    beyond = -np.inf if word == "Max" else 0.0
    value = called_with(clue.layer, np.pad(clue.given, ends, constant_values=beyond), **VALID)
    if word == "Average":
        value = value / called_with(clue.layer, np.pad(np.ones_like(clue.given), ends), **VALID)
    return "Keras drops the last window that PyTorch keeps (ceil_mode=True)" if clue.agrees(value) else ""


_ADAPTIVE = {"Average": "AdaptiveAvg", "Max": "AdaptiveMax"}


def _adaptive(clue: Clue, word: str) -> str:
    """PyTorch's windows are as many as asked for, of unlike sizes; Keras's are of one size."""
    if not type(clue.module).__name__.startswith(_ADAPTIVE[word]) or not _is_pool(clue, word):
        return ""
    value, reduce = clue.given, np.max if word == "Max" else np.mean
    for axis, count in enumerate(clue.expected.shape[2:], 1):
        size = value.shape[axis]
        edges = [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
        value = np.stack([reduce(value.take(range(*edge), axis), axis) for edge in edges], axis)
    return "PyTorch's windows are adaptive, of unlike sizes that overlap, and with those it agrees" * clue.agrees(value)


HINTS = (
    Hint("conv-same-stride2", _same_convolution),
    Hint("conv-padding-mode", _padding_mode),
    Hint("", _border_before),
    Hint("pad-symmetric-vs-reflect", _mirror),
    Hint("convtranspose-same", _transpose),
    Hint("maxpool-same", _same_maximum),
    Hint("maxpool-pad-zero", _zeros_in_maximum),
    Hint("maxpool-ceil-mode", partial(_last_window, word="Max")),
    Hint("avgpool-ceil", partial(_last_window, word="Average")),
    Hint("avgpool-count-include-pad", _counted_zeros),
    Hint("avgpool-count-include-pad", _uncounted_zeros),
    Hint("adaptive-avgpool", partial(_adaptive, word="Average")),
    Hint("adaptive-maxpool", partial(_adaptive, word="Max")),
)
