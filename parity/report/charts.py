"""The charts of the HTML report as coordinates for SVG: errors along the depth and over the steps, spreads, losses."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import Any

from parity.core.trace import step_of

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 24, 24  # of the plot within its picture
NAMES = 116  # room below instead, where tensors are named
NAMED = 48  # names along an axis, at most
SMALL_WIDTH, SMALL_HEIGHT = 460, 190
POINTS = 250  # along a line; of more, each stands for several steps, the worst of them
LEAST = 3  # points that a line says something with
FLOW = ("activation", "output", "loss", "gradient", "buffer")  # along the depth; the rest goes in as it is


@dataclass
class Chart:
    """A picture: where its lines, marks and texts are.

    Args:
        title: what it shows.
        below: room under the plot.
        names: (x, text), written upwards.
        ticks_x, ticks_y: (place, text).
        sections: (from, to, text): parts of the horizontal axis.
        lines: (class, path).
        bars: (x, y, width, height, text).
        rules: (x, class, text): vertical lines.
        marks: (x, y, text): what failed.
        hints: (x, width, text): what a place says when pointed at.
        legend: (class, text).
    """

    title: str
    width: int = WIDTH
    height: int = HEIGHT
    below: int = BOTTOM
    names: list[tuple] = field(default_factory=list)
    ticks_x: list[tuple] = field(default_factory=list)
    ticks_y: list[tuple] = field(default_factory=list)
    sections: list[tuple] = field(default_factory=list)
    lines: list[tuple] = field(default_factory=list)
    bars: list[tuple] = field(default_factory=list)
    rules: list[tuple] = field(default_factory=list)
    marks: list[tuple] = field(default_factory=list)
    hints: list[tuple] = field(default_factory=list)
    legend: list[tuple] = field(default_factory=list)

    left, top = LEFT, TOP

    @property
    def right(self) -> int:
        """Where the plot ends."""
        return self.width - RIGHT

    @property
    def bottom(self) -> int:
        """Where the plot's horizontal axis is."""
        return self.height - self.below

    @property
    def narrow_height(self) -> int:
        """How much of the height a narrow page shows, where the names along the axis are left out."""
        return self.bottom + BOTTOM


def of_subject(cases: Sequence[dict[str, Any]]) -> list[Chart]:
    """Return the charts of one subject's cases, drawn together; those that say something."""
    cases = [case for case in cases if case["tensors"]]
    steps = sorted({step_of(row["name"]) for case in cases for row in case["tensors"]})
    charts = [_depth(cases), _losses(cases)]
    charts += [
        _over_steps(cases, steps, "Error of the loss, step by step", lambda row: row["kind"] == "loss"),
        _over_steps(
            cases, steps, "Largest error of a step: parameters, slots, buffers", lambda row: row["kind"] != "loss"
        ),
    ]
    return [chart for chart in charts if chart]


def _depth(cases: Sequence[dict[str, Any]]) -> Chart | None:
    """Return the error of each tensor of the first pass, in the trace's order."""
    order: dict[str, str] = {}
    for case in cases:
        order |= {r["name"]: r["kind"] for r in case["tensors"] if r["kind"] in FLOW and not step_of(r["name"])}
    rows = [{row["name"]: row for row in case["tensors"]} for case in cases]
    columns = [(name, [found.get(name) for found in rows]) for name in order]
    chart = _errors("Error along the depth of the network", cases, columns, below=NAMES)
    if not chart:
        return None
    chart.sections = list(_sections(chart, list(order.values())))
    every = ceil(len(order) / NAMED)
    places = {name: _n(_at(chart, position, len(order))) for position, name in enumerate(order)}
    chart.names = [(places[name], _short(name)) for name in list(order)[::every]]
    begins = sorted({case["first_divergence"] for case in cases} & set(places), key=places.__getitem__)
    chart.rules = [(places[name], "first", f"a first divergence: {name}") for name in begins]
    return chart


def _short(name: str) -> str:
    """Return a tensor's name without its kind, and of a long one the end."""
    name = name.partition(":")[2] or name
    return name if len(name) <= 17 else f"…{name[-16:]}"


def _over_steps(
    cases: Sequence[dict[str, Any]], steps: Sequence[int], title: str, chosen: Callable[[dict], bool]
) -> Chart | None:
    """Return the error of each step's worst tensor."""
    each = ceil(len(steps) / POINTS)
    slot = {step: position // each for position, step in enumerate(steps)}
    worst: list[dict[int, dict]] = []
    for case in cases:
        found: dict[int, dict] = {}
        for row in filter(chosen, case["tensors"]):
            if at := step_of(row["name"]):
                found[slot[at]] = max(found.get(slot[at], row), row, key=_excess)
        worst.append(found)
    places = sorted({place for found in worst for place in found})
    columns = [(f"step {steps[place * each]}", [found.get(place) for found in worst]) for place in places]
    chart = _errors(title, cases, columns)
    if chart:
        every = ceil(len(places) / 10)
        chart.ticks_x = [(_n(_at(chart, i, len(places))), columns[i][0]) for i in range(0, len(places), every)]
    return chart


def _excess(row: dict[str, Any]) -> tuple[bool, float]:
    return not row["passed"], (row["relative"] or 0.0) / (row["allowed"] or 1.0)


def _errors(
    title: str, cases: Sequence[dict[str, Any]], columns: Sequence[tuple[str, list[dict | None]]], below: int = BOTTOM
) -> Chart | None:
    """Return relative errors on a logarithmic axis, one line per case, with PyTorch's own and what is allowed."""
    rows = [row for _, column in columns for row in column if row]
    drawn = [row["relative"] for row in rows if row["relative"]]
    failed = any(not row["passed"] for row in rows)
    if not failed and (len(columns) < LEAST or not drawn):
        return None
    chart = Chart(title, height=HEIGHT - BOTTOM + below, below=below)
    bounds = [row["allowed"] for row in rows if row["allowed"]]
    height = _log_axis(chart, [*drawn, *bounds, *(row["own"] for row in rows if row.get("own"))])
    xs = [_at(chart, position, len(columns)) for position in range(len(columns))]

    def line(number: int, key: str) -> str:
        return _path(
            (
                (x, row.get(key) if (row := column[number]) else None)
                for x, (_, column) in zip(xs, columns, strict=True)
            ),
            height,
        )

    seen = set()
    for number, case in enumerate(cases):
        dtype = case["dtype"]
        if dtype not in seen:
            seen.add(dtype)
            chart.lines.append((f"bound {dtype}", line(number, "allowed")))
            if any(row and "own" in row for row in (column[number] for _, column in columns)):
                chart.lines.append(("own", line(number, "own")))
                chart.legend.append(("own", "PyTorch's own error"))
            chart.legend.append((f"bound {dtype}", f"allowed in {dtype}"))
    for number, case in enumerate(cases):
        chart.lines.append((f"{case['dtype']} {case['mode']}", line(number, "relative")))
        chart.legend.append((f"{case['dtype']} {case['mode']}", f"{case['dtype']} {case['mode']}"))
    step = (chart.right - chart.left) / max(len(columns) - 1, 1)
    for x, (place, column) in zip(xs, columns, strict=True):
        chart.hints.append((_n(x - step / 2), _n(step), "\n".join([place, *_describe_place(cases, column)])))
        for case, row in zip(cases, column, strict=True):
            if row and not row["passed"]:
                y = height(row["relative"]) if row["relative"] is not None else chart.top
                chart.marks.append((_n(x), _n(y), f"{row['name']}, {case['dtype']} {case['mode']}: {row['problem']}"))
    if failed:
        chart.legend.append(("bad", "failed"))
    return chart


def _describe_place(cases: Sequence[dict[str, Any]], column: Sequence[dict | None]) -> Iterator[str]:
    """Say one place's errors, one line per case."""
    for case, row in zip(cases, column, strict=True):
        if row and row["relative"] is not None:
            own = f", PyTorch's own {row['own']:.1e}" if row.get("own") is not None else ""
            yield f"{case['dtype']} {case['mode']}: {row['relative']:.1e}{own}"


def _sections(chart: Chart, kinds: Sequence[str]) -> Iterator[tuple[float, float, str]]:
    """Yield the parts of the horizontal axis: activations, output and loss, gradients, buffers."""
    start = 0
    named = {"output": "out", "loss": "out"}
    step = (chart.right - chart.left) / max(len(kinds) - 1, 1)
    for end in range(1, len(kinds) + 1):
        kind = named.get(kinds[start], kinds[start] + "s")
        if end == len(kinds) or named.get(kinds[end], kinds[end] + "s") != kind:
            first, last = _at(chart, start, len(kinds)), _at(chart, end - 1, len(kinds))
            yield _n(max(first - step / 2, chart.left)), _n(min(last + step / 2, chart.right)), kind
            start = end


def histogram(counted: dict[str, Any]) -> Chart:
    """Return how the errors of a tensor are spread, with PyTorch's own largest and RMS error where it is known."""
    counts, reach = counted["counts"], counted["reach"]
    chart = Chart(f"Errors of {counted['tensor']}", SMALL_WIDTH, SMALL_HEIGHT)
    own = counted.get("own") or {}
    edge = max([reach, *(value for value in own.values() if value and value < 20 * reach)])
    middle, half = (chart.left + chart.right) / 2, (chart.right - chart.left) / 2
    width = 2 * half * reach / edge / len(counts)
    tallest = log10(max(counts) + 1)
    for position, count in enumerate(counts):
        tall = (chart.bottom - chart.top) * log10(count + 1) / tallest
        x = middle - half * reach / edge + position * width
        low, high = (reach * (2 * (position + side) / len(counts) - 1) for side in (0, 1))
        chart.bars.append(
            (_n(x), _n(chart.bottom - tall), _n(max(width - 1, 0.5)), _n(tall), f"{count} in {low:.1e} … {high:.1e}")
        )
    for key, text in (("rms", "RMS"), ("max_abs", "largest")):
        value = own.get(key)
        if value and value <= edge:
            text = f"PyTorch's own error, {text}: ±{value:.1e}"
            chart.rules += [(_n(middle + sign * half * value / edge), f"own {key}", text) for sign in (-1, 1)]
            chart.legend.append((f"own {key}", text))
    chart.ticks_x = [
        (_n(middle + half * part), f"{part * edge:.1e}" if part else "0") for part in (-1, -0.5, 0, 0.5, 1)
    ]
    chart.ticks_y = [
        (_n(chart.bottom - (chart.bottom - chart.top) * log10(count + 1) / tallest), f"{count:,}")
        for count in (0, *(10**power for power in range(8)))
        if count <= max(counts)
    ]
    return chart


def _losses(cases: Sequence[dict[str, Any]]) -> Chart | None:
    """Return the loss of each step, PyTorch's and the port's."""
    runs = [(case, _thin(case["losses"])) for case in cases if len(case.get("losses", ())) >= LEAST]
    if not runs:
        return None
    values = [value for _, losses in runs for entry in losses for value in entry[1:] if value is not None]
    if not values:
        return None
    chart = Chart("Loss of each step")
    if min(values) > 0 and max(values) > 100 * min(values):
        height = _log_axis(chart, values)
    else:
        height = _linear_axis(chart, min(values), max(values))
    last = max(losses[-1][0] for _, losses in runs)
    first = min(losses[0][0] for _, losses in runs)

    def across(step: int) -> float:
        return chart.left + (chart.right - chart.left) * (step - first) / max(last - first, 1)

    for case, losses in runs:
        if case is runs[0][0]:
            chart.lines.append(("torch", _path(((across(step), loss) for step, loss, _ in losses), height)))
            chart.legend.append(("torch", "PyTorch in float64"))
        name = f"{case['dtype']} {case['mode']}"
        chart.lines.append((f"{name} port", _path(((across(step), loss) for step, _, loss in losses), height)))
        chart.legend.append((f"{name} port", f"the port, {name}"))
    ticks = {first, *(int(step) for step in _round_numbers(first, last, 9))}
    chart.ticks_x = [(_n(across(step)), f"step {step}") for step in sorted(ticks)]
    return chart


def _thin(losses: Sequence[list]) -> list[list]:
    every = ceil(len(losses) / POINTS)
    return [*losses[:-1:every], losses[-1]]


def _at(chart: Chart, position: int, count: int) -> float:
    return chart.left + (chart.right - chart.left) * (position / (count - 1) if count > 1 else 0.5)


def _log_axis(chart: Chart, values: Iterable[float]) -> Callable[[float], float]:
    """Give a chart decades that hold the positive values, and return where a value is drawn; zero is on the axis."""
    values = list(values) or [1.0]
    low, high = (min(max(power, -20), 2) for power in (floor(log10(min(values))), ceil(log10(max(values)))))
    least, high = low - 0.8, max(high, low + 1)
    scale = (chart.bottom - chart.top) / (high - least)

    def height(value: float) -> float:
        if not value:
            return chart.bottom
        return min(max(chart.bottom - (log10(value) - least) * scale, chart.top), chart.bottom)

    decades = range(ceil(least), high + 1)
    every = ceil(len(decades) / 7)
    chart.ticks_y = [(_n(height(10.0**power)), f"1e{power}") for power in decades[::-1][::every]]
    chart.ticks_y.append((chart.bottom, "0"))
    return height


def _linear_axis(chart: Chart, low: float, high: float) -> Callable[[float], float]:
    """Give a chart an even axis that holds the values, and return where a value is drawn."""
    room = (high - low) * 0.05 or abs(high) or 1.0
    low, high = low - room, high + room

    def height(value: float) -> float:
        return chart.bottom - (chart.bottom - chart.top) * (value - low) / (high - low)

    chart.ticks_y = [(_n(height(at)), f"{at:.6g}") for at in _round_numbers(low, high, 5)]
    return height


def _round_numbers(low: float, high: float, most: int) -> list[float]:
    """Return up to so many multiples of 1, 2 or 5 times a power of ten between two numbers."""
    if high <= low:
        return [low]
    power = 10.0 ** floor(log10((high - low) / most))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power) if (high - low) / step <= most)
    return [k * step for k in range(ceil(low / step), floor(high / step) + 1)]


def _path(points: Iterable[tuple[float, float | None]], height: Callable[[float], float]) -> str:
    """Return an SVG path through the points (x, value), broken where there is no value."""
    parts, pen = [], "M"
    for x, value in points:
        if value is None:
            pen = "M"
            continue
        parts.append(f"{pen}{_n(x)} {_n(height(value))}")
        pen = "L"
    return "".join(parts)


def _n(value: float) -> float:
    """Return a coordinate to a tenth of a pixel."""
    return round(value, 1)
