"""Reasons why a resize differs: PyTorch's `interpolate` and TensorFlow's `resize` are tried in all their forms."""

from functools import partial

import numpy as np
import tensorflow as tf

from parity.core.difference import measure
from parity.pair.hints.clue import Clue, Hint
from parity.record import torch_functions

METHODS = ("nearest", "bilinear", "bicubic", "area")


def _resizes(clue: Clue) -> bool:
    """Whether Keras's layer is given images and returns images of another size, as PyTorch does."""
    given, size = np.shape(clue.given), clue.expected.shape[2:]
    images = len(given) == 4 and clue.given.dtype in (np.float32, np.float64)
    return images and len(size) == 2 and clue.actual.shape == clue.expected.shape and given[1:3] != size


def _named(clue: Clue) -> tuple[str, str]:
    """Return in words how PyTorch and how Keras resize, "" where it is none of the known forms."""
    if not _resizes(clue):
        return "", ""
    x, size = clue.layout.to_torch(clue.given), clue.expected.shape[2:]
    theirs = {name: value for name, value in torch_functions.resized(x, size).items() if clue.is_expected(value)}
    mine = {name: clue.layout.to_torch(value) for name, value in _keras_resizes(clue.given, size).items()}
    mine = {name: value for name, value in mine.items() if clue.is_actual(value)}
    nearest = min(mine, key=lambda name: measure(clue.actual, mine[name]).relative, default="")
    return next(iter(theirs), ""), nearest


def _keras_resizes(images: np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return images (N, H, W, C) as TensorFlow resizes them."""
    found = {}
    for method in METHODS:
        found[method] = tf.image.resize(images, size, method).numpy()
        found[f"{method}, antialias=True"] = tf.image.resize(images, size, method, antialias=True).numpy()
        found[f"{method}, align_corners=True"] = tf.compat.v1.image.resize(
            images, size, method, align_corners=True
        ).numpy()
        found[f"{method}, without half pixels"] = tf.compat.v1.image.resize(images, size, method).numpy()
    return found


def _gap_of(theirs: str, mine: str) -> str:
    if "align_corners" in theirs and "align_corners" not in mine:
        return "upsample-align-corners"
    method = theirs.split(",")[0].split("-")[0]
    plain = "antialias" not in theirs + mine
    return f"upsample-{method}" if plain and method in ("nearest", "bilinear", "bicubic") else ""


def _form(gap: str, clue: Clue) -> str:
    theirs, mine = _named(clue)
    if not (theirs and mine) or _gap_of(theirs, mine) != gap:
        return ""
    if theirs == mine and gap == "upsample-bilinear":
        return "both are bilinear, and Keras's is in float32 whatever it is given"
    if theirs == mine and gap == "upsample-bicubic":
        return "both are bicubic, by other kernels: a = −0.75 in PyTorch, a = −0.5 in Keras"
    return f"PyTorch's is {theirs}, Keras's is {mine}"


def _scale_factor(clue: Clue) -> str:
    factors, mode = getattr(clue.module, "scale_factor", None), getattr(clue.module, "mode", "")
    if factors is None or not _resizes(clue) or _named(clue)[0]:
        return ""
    x = clue.layout.to_torch(clue.given)
    value = torch_functions.rescaled(x, factors, mode, getattr(clue.module, "align_corners", None))
    if not clue.is_expected(value):
        return ""
    return f"PyTorch steps by the inverse of scale_factor={factors}, not by the ratio of the sizes"


_GAPS = ("upsample-align-corners", "upsample-nearest", "upsample-bilinear", "upsample-bicubic", "")
HINTS = (*(Hint(gap, partial(_form, gap)) for gap in _GAPS), Hint("upsample-scale-factor", _scale_factor))
