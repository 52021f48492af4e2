"""The catalogue of semantic differences between PyTorch and TensorFlow, each row measured.

`parity gaps` prints it. A row is three small functions that should do the same: PyTorch's, the obvious port, and the
exact port; no framework is loaded before a row is measured.
"""

from importlib import import_module

from keras_blitz.errors import BlitzError
from parity.core.nearest import near
from parity.gaps.gap import CATALOGUE, Gap

# module -> what its rows are about
SECTIONS = {
    "convolution": "Convolution, pooling, linear, layout",
    "normalization": "Normalization, activations, dropout, embedding, recurrent, attention",
    "initial_values": "Initial values, random numbers, resizing, regularizers",
    "losses": "Losses",
    "optimizers": "Optimizers, clipping, schedules",
    "autograd": "Autograd",
    "operations": "Tensor operations",
    "data": "Data and image transforms",
    "precision": "Precision, configuration, threads, whole runs",
}


def catalogue() -> list[Gap]:
    """Return all rows, section by section."""
    for section in SECTIONS:
        import_module(f"parity.gaps.{section}")
    return list(CATALOGUE.values())


def select(names: list[str]) -> list[Gap]:
    """Return the rows that ids, sections or beginnings of ids name; all where there are no names.

    Raises:
        BlitzError: a name that fits no row.
    """
    gaps = catalogue()
    if not names:
        return gaps
    chosen: dict[str, Gap] = {}
    for name in names:
        found = [one for one in gaps if one.id == name] or [
            one for one in gaps if one.section == name or one.id.startswith(name)
        ]
        if not found:
            raise BlitzError(f"no gap is called {name!r}{_alike(name, gaps)}; `parity gaps --list` has them all")
        chosen |= {one.id: one for one in found}
    return list(chosen.values())


def _alike(name: str, gaps: list[Gap]) -> str:
    """Return "; near: …" with ids that contain a name, or are spelled almost like it; "" if there are none."""
    known, name = [*(one.id for one in gaps), *SECTIONS], name.lower()
    inside = [one for one in known if len(name) > 2 and name in one]
    return f"; near: {', '.join(inside[:3])}" if inside else near(name, known, cutoff=0.7)
