"""Height, width and length left open: two examples of other sizes whose sources are the same but for the inputs."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError

INPUT = re.compile(r"keras\.Input\(\(([^)]*)\)")
READ = re.compile(r".*\.shape\[(?!-1\]).*")  # a size that Keras knows only when it runs


def leave_open(
    one: str, two: str, arrays: Mapping[str, np.ndarray], others: Mapping[str, np.ndarray], flats: tuple[Any, Any]
) -> str:
    """Return a source that takes every size: that of one example, with None for the sizes of its inputs that differ.

    Args:
        one: the source from one example.
        two: that from another.
        arrays: the constants of the first.
        others: those of the second.
        flats: what was flattened before a Linear, in both.

    Raises:
        BlitzError: the network depends on the size; the message has the line.
    """
    pairs = zip(INPUT.sub("", one).splitlines(), INPUT.sub("", two).splitlines(), strict=False)
    if differ := next(((a, b) for a, b in pairs if a != b), None):
        raise BlitzError(
            f"the sizes cannot stay open: {differ[0].strip()} is {differ[1].strip()} for the other example"
        )
    if read := READ.search(one):
        raise BlitzError(f"the sizes cannot stay open: {read[0].strip()}")
    same = arrays.keys() == others.keys() and all(np.array_equal(arrays[name], others[name]) for name in arrays)
    if not same or flats[0] != flats[1] or len(one.splitlines()) != len(two.splitlines()):
        raise BlitzError(
            "the sizes cannot stay open: constants, or what is flattened, are others for the other example"
        )
    shapes = iter(zip(INPUT.findall(one), INPUT.findall(two), strict=True))

    def widen(_: re.Match) -> str:
        both = (each.rstrip(",").split(", ") for each in next(shapes))
        sizes = [a if a == b else "None" for a, b in zip(*both, strict=True)]
        return f"keras.Input(({', '.join(sizes)}{',' if len(sizes) == 1 and sizes[0] else ''})"

    return INPUT.sub(widen, one)
