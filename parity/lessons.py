"""What the lessons in scripts/lessons compare with: the same thing in several frameworks, side by side and checked.

    from parity.lessons import Lesson, torch    # None where PyTorch is not installed
    import tensorflow as tf

    compare = Lesson("autograd").compare

    def with_pytorch():
        ...
        return {"a.grad": a.grad}

    def with_keras():
        ...
        return {"a.grad": gradients.grad(a)}

    compare("powers", with_pytorch, with_keras)

prints the values of both and raises where they differ. Where PyTorch is not installed, its function is not called: its
values are those recorded in golden/lessons.json.

python -m parity.lessons scripts/lessons     runs the lessons with PyTorch and records its values
"""

import contextlib
import io
import json
import numbers
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path
from parity.core.difference import measure
from parity.record.frameworks import load_frameworks, torch_installed

GOLDEN = Path(__file__).parent / "golden" / "lessons.json"

# What the functions are called, and the column of each.
COLUMNS = {"with_pytorch": "PyTorch", "with_numpy": "NumPy", "with_tensorflow": "TensorFlow", "with_keras": "Keras"}

# How far a value may be from PyTorch's, relative to the largest of its tensor. Measured in the lessons: at most 6e-7 in
# float32 where it is not a run of many steps; another CPU sums in another order.
ALLOWED = {"float64": 1e-12, "float32": 1e-5}

WIDTHS = {1: 36, 2: 36, 3: 25, 4: 20}  # characters of a column, by their number

Values = Mapping[str, Any]
Section = Callable[[], Values]

# What a lesson imports from here, so that PyTorch is loaded before TensorFlow, and TensorFlow without its greetings.
PYTORCH = {"torch": "torch", "nn": "torch.nn", "F": "torch.nn.functional", "torchvision": "torchvision"}

_recorded: dict[str, dict[str, dict[str, Any]]] = {}  # lesson -> section -> what PyTorch has just given


def __getattr__(name: str) -> Any:
    """Load the frameworks, and return a module of PyTorch; None where it is not installed."""
    if name not in PYTORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    load_frameworks(torch_installed())
    if not torch_installed():
        return None
    if name == "torchvision":
        import_module("parity.twins.torch.families").define_missing_operators()
    return import_module(PYTORCH[name])


class Lesson:
    """A lesson, by whose name PyTorch's values are recorded.

    Args:
        name: such as "autograd".
    """

    def __init__(self, name: str):
        self.name = name

    def compare(
        self,
        section: str,
        *functions: Section,
        differs: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> None:
        """Print what the functions return, a column each, and check it against PyTorch's.

        Args:
            section: the name under which PyTorch's values are recorded, one of its own for each call.
            functions: `with_pytorch`, `with_numpy`, `with_tensorflow` or `with_keras`; each returns values by name:
                tensors, arrays, numbers, texts, shapes.
            differs: the values that differ from PyTorch's, and why; that they do is checked as well. Of several columns
                "NumPy: median" is the one in NumPy's.
            within: how far a floating-point value may be from PyTorch's, relative to the largest of its tensor; None:
                1e-12 in float64, 1e-5 in float32.

        Raises:
            AssertionError: a value is not PyTorch's, or is although it is listed in `differs`.
        """
        columns, differs = self._columns(section, functions), differs or {}
        others = dict(columns)
        expected = others.pop(next((title for title in columns if title.startswith("PyTorch")), next(iter(columns))))
        problems = [
            problem
            for title, values in others.items()
            for problem in _problems(title, expected, values, differs, within)
        ]
        print(_table(columns, differs))
        if problems:
            raise AssertionError(f"{section}: " + "; ".join(problems))
        print(_summary(expected, list(others.values()), differs))

    def _columns(self, section: str, functions: tuple[Section, ...]) -> dict[str, Values]:
        """Return the values by the title of their column."""
        columns: dict[str, Values] = {}
        for function in functions:
            title = COLUMNS[_name(function)]
            if title == "PyTorch" and not torch_installed():
                columns["PyTorch, recorded"] = self._read(section)
                continue
            columns[title] = {name: _plain(value) for name, value in function().items()}
            if title == "PyTorch":
                encoded = {name: _encode(value) for name, value in columns[title].items()}
                _recorded.setdefault(self.name, {})[section] = encoded
        return columns

    def _read(self, section: str) -> Values:
        try:
            return {name: _decode(value) for name, value in _golden()[self.name][section].items()}
        except KeyError:
            raise BlitzError(
                f"PyTorch is not installed, and no values of it are recorded for {self.name}, {section}: "
                "pip install 'keras-blitz[torch]'"
            ) from None


def record(folder: Path) -> None:
    """Run the lessons of a folder and record what PyTorch gave.

    Args:
        folder: with the lessons, `01_….py` and so on.

    Raises:
        BlitzError: PyTorch is not installed.
    """
    import runpy
    import warnings

    import matplotlib

    if not torch_installed():
        raise BlitzError("the lessons are recorded with PyTorch: pip install 'keras-blitz[torch]'")
    matplotlib.use("Agg")
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")  # plt.show() shows nothing
    load_frameworks(live=True)
    for path in sorted(folder.glob("[0-9]*.py")):
        with contextlib.redirect_stdout(io.StringIO()):
            runpy.run_path(str(path), run_name="__main__")
    write(GOLDEN)


def write(path: Path) -> None:
    """Write what PyTorch has given in this process, a line for each section."""
    lessons = [
        f"{json.dumps(name)}: {{\n"
        + ",\n".join(f"{json.dumps(section)}: {json.dumps(values)}" for section, values in sections.items())
        + "\n}"
        for name, sections in _recorded.items()
    ]
    with atomic_path(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(lessons) + "\n}\n", encoding="utf-8")


@cache
def _golden() -> dict[str, dict[str, dict[str, Any]]]:
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def _name(function: Section) -> str:
    name = getattr(function, "__name__", "")
    if name not in COLUMNS:
        raise BlitzError(f"the functions of a section are called {', '.join(COLUMNS)}, not {name}")
    return name


# Values


def _plain(value: Any) -> Any:
    """Return a framework's value as NumPy or Python has it: an array, a number, a text, a tuple, None."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, np.dtype) or type(value).__name__ in ("dtype", "DType"):
        return str(getattr(value, "name", value)).removeprefix("torch.")
    if hasattr(value, "as_list"):  # a shape of TensorFlow
        value = value.as_list()
    if isinstance(value, list | tuple):
        items = tuple(map(_plain, value))
        return np.asarray(items) if any(isinstance(item, np.ndarray) for item in items) else items
    return np.asarray(value.detach() if hasattr(value, "detach") else value)


def _encode(value: Any) -> Any:
    """Return a value as JSON has it."""
    if not isinstance(value, np.ndarray):
        return value
    numbers = [float(str(number)) if value.dtype == np.float32 else number.item() for number in value.ravel()]
    return {"dtype": value.dtype.name, "shape": value.shape, "values": numbers}


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(value["values"], value["dtype"]).reshape(value["shape"])
    return tuple(map(_decode, value)) if isinstance(value, list) else value


def _distance(expected: Any, actual: Any) -> float:
    """Return how far a value is from the expected one: 0 where equal, infinite where there is no number for it."""
    arrays = isinstance(expected, np.ndarray) and isinstance(actual, np.ndarray)
    if not arrays:
        return 0.0 if type(expected) is type(actual) and expected == actual else np.inf
    if (expected.shape, expected.dtype) != (actual.shape, actual.dtype):
        return np.inf
    if np.array_equal(expected, actual, equal_nan=expected.dtype.kind == "f"):
        return 0.0
    if not (expected.dtype.kind == "f" and np.isfinite(expected).all() and np.isfinite(actual).all()):
        return np.inf
    return measure(expected, actual).relative


def _summary(expected: Values, others: list[Values], differs: Mapping[str, str]) -> str:
    """Return in a line how far the values are apart that should be equal."""
    names = [name for name in expected if not _reasons(name, differs)]
    apart = len(expected) - len(names)
    if not names:
        return f"{apart} different, as expected"
    distances = [_distance(expected[name], values.get(name, "missing")) for values in others for name in names]
    errors = f"to {max(distances):.0e} of the largest value" if any(distances) else "to the last bit"
    return f"{len(names)} equal, {errors}" + (f"; {apart} different, as expected" if apart else "")


def _reasons(name: str, differs: Mapping[str, str]) -> list[str]:
    """Return why a value differs, in any column."""
    return [reason for key, reason in differs.items() if name in (key, key.partition(": ")[2])]


def _problems(
    title: str, expected: Values, actual: Values, differs: Mapping[str, str], within: float | None
) -> list[str]:
    """Return what is not as it should be in a column, in words."""
    if list(expected) != list(actual):
        return [f"{title} has {', '.join(actual)}, expected {', '.join(expected)}"]
    problems = []
    for name, value in expected.items():
        allowed = ALLOWED.get(str(getattr(value, "dtype", "")), 0.0) if within is None else within
        distance = _distance(value, actual[name])
        listed = name in differs or f"{title}: {name}" in differs
        if listed and distance <= allowed:
            problems.append(f"{name} of {title} is listed as different, and is not")
        elif not listed and not distance <= allowed:
            far = f" by {distance:.1e} of the largest value, allowed {allowed:.0e}" if np.isfinite(distance) else ""
            problems.append(f"{name} of {title} differs{far}")
    return problems


# The table


def _table(columns: Mapping[str, Values], differs: Mapping[str, str]) -> str:
    """Return the values as lines of text, a row for each name and a column for each framework."""
    names = list(next(iter(columns.values())))
    rows: list[tuple[str, list[list[str]], list[str]]] = [("", [[title] for title in columns], [])]
    for name in names:
        width = WIDTHS[len(columns)]
        cells = [_text(values.get(name, "missing"), width).splitlines() or [""] for values in columns.values()]
        rows.append((name, cells, _reasons(name, differs)))
    first = max(len(name) for name in names)
    widths = [max(len(line) for _, cells, _ in rows for line in cells[column]) for column in range(len(columns))]
    lines: list[str] = []
    for name, cells, reasons in rows:
        for number, parts in enumerate(zip_longest(*cells, fillvalue="")):
            head = name if number == 0 else ""
            padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            lines.append("  ".join([head.ljust(first), *padded]).rstrip())
        lines += [f"{'':{first}}  ↑ differs: {reason}" for reason in reasons]
    return "\n".join(lines)


def _text(value: Any, width: int) -> str:
    """Return a value as a few lines, an array's at most `width` long."""
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=4, suppress_small=True, threshold=40, edgeitems=2, max_line_width=width)
    if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return str(value)


if __name__ == "__main__":
    from parity import lessons  # the module that the lessons import, which is not this one

    lessons.record(Path(sys.argv[1]))
