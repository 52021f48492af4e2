import re
import shutil
import subprocess
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from parity.core.compare import Comparison, compare
from parity.core.difference import BINS, Difference, histogram, measure
from parity.core.fingerprint import fingerprint
from parity.core.interruption import Interruption
from parity.core.trace import Trace
from parity.report import charts, html, junit
from parity.report.json import to_dict
from parity.suite.case import Case
from parity.suite.run import Result

pytestmark = pytest.mark.covers("H11")

LAYERS = ("conv1", "bn1", "fc<1>&")
STEPS = 12


def trace(seed=0, layers=LAYERS, steps=STEPS):
    """A network's trace in float64: three layers, a loss, gradients, some steps."""
    stream = np.random.RandomState(seed)
    found = Trace()
    for name in layers:
        found.add(f"activation:{name}", stream.randn(4, 50))
    found.add("output", stream.randn(4, 10))
    found.add("loss", np.array(2.0))
    for name in layers:
        found.add(f"grad:{name}.weight", stream.randn(30, 5))
    for step in range(1, steps + 1):
        found.add(f"step{step}:loss", np.array(2.0 / step))
        found.add(f"step{step}:param:conv1.weight", stream.randn(30, 5))
    return found


def port(truth, dtype="float64", wrong=(), error=0.01):
    """The port's trace: off by rounding, and by `error` in what is wrong."""
    stream = np.random.RandomState(1)

    def moved(name, value):
        relative = error if name in wrong else 0.1 * np.finfo(dtype).eps
        return (value + np.abs(value).max() * relative * stream.randn(*value.shape)).astype(dtype)

    return Trace((name, moved(name, value)) for name, value in truth.items())


def case(subject="net", dtype="float64", mode="eager", group="networks"):
    return Case(subject, group, ("N1",), dtype, mode, lambda *_: None, lambda *_: None)


def result(subject="net", dtype="float64", mode="eager", wrong=(), **changes):
    truth, one = trace(), case(subject, dtype, mode)
    own = {n: measure(v, v.astype(np.float32)) for n, v in truth.items()} if dtype == "float32" else None
    found = compare(truth, port(truth, dtype, wrong) | changes, case=one.id, dtype=dtype, own=own)
    return Result(one, found, 0.25)


def document(*results, mode="live", **more):
    return to_dict(results, mode=mode, versions={"torch": "2.9.0<cpu>"}, seconds=1.5, **more)


def written(folder, *results):
    path = folder / "report.html"
    html.write(document(*results), path)
    return path


FAILING = ("activation:fc<1>&", "output", "grad:bn1.weight", "step5:loss")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A run with passing and failing cases, and one that raised."""
    folder = tmp_path_factory.mktemp("page")
    raised = replace(
        result("raises"), comparison=compare({}, Trace(), case="", dtype="float64"), error="TypeError: a < b"
    )
    results = [result(mode=mode, dtype=dtype) for dtype in ("float64", "float32") for mode in ("eager", "graph")]
    return written(folder, *results, result("bad", wrong=FAILING), result("bad", "float32", wrong=FAILING), raised)


class Parsed(HTMLParser):
    """The elements of a page: (tag, attributes, text)."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])

    def handle_data(self, data):
        if self.elements:
            self.elements[-1][2] += data

    def of(self, tag, **wanted):
        return [e for e in self.elements if e[0] == tag and all(e[1].get(k.strip("_")) == v for k, v in wanted.items())]


def test_the_page_loads_nothing(page):
    text = page.read_text(encoding="utf-8")
    assert "://" not in text
    assert "@import" not in text
    assert "url(" not in text
    parsed = Parsed(text)
    assert not [e for e in parsed.elements if e[0] in ("script", "link", "img", "iframe", "object")]
    assert not [e for e in parsed.elements if {"src", "xlink:href"} & set(e[1])]
    (policy,) = [e[1]["content"] for e in parsed.of("meta") if "http-equiv" in e[1]]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_every_case_has_a_row_that_links_to_its_details(page):
    parsed = Parsed(page.read_text(encoding="utf-8"))
    anchors = [e[1]["id"] for e in parsed.elements if "id" in e[1]]
    assert len(anchors) == len(set(anchors))
    links = [e[1]["href"].removeprefix("#") for e in parsed.of("a")]
    assert set(links) <= set(anchors)
    assert links[:3] == ["case-5", "case-6", "case-7"]  # what failed comes first
    assert set(links) == {f"case-{number}" for number in range(1, 8)}


def test_what_failed_is_said_at_the_top_and_open(page):
    text = page.read_text(encoding="utf-8")
    top = text[: text.index("<h2>Cases</h2>")]
    assert "4 of 7 cases passed, 3 failed" in top
    assert "first at <code>activation:fc&lt;1&gt;&amp;</code>" in top
    assert "TypeError: a &lt; b" in top
    subjects = Parsed(text).of("details", class_="subject")
    assert ["open" in e[1] for e in subjects] == [False, True, True]


NOTHING = Comparison((), problem="nothing was compared")
MISSING = Result(case("missing"), Comparison(()), 0.1, error="no golden trace", missing=True)


@pytest.mark.parametrize(
    ("results", "interruption", "look", "headline"),
    [
        ([result()], None, "passed", "1 of 1 cases passed"),
        ([result(), result("bad", wrong=FAILING)], None, "failed", "1 of 2 cases passed, 1 failed"),
        ([result(), MISSING], None, "weak", "1 of 2 cases passed, 1 not decided"),
        ([result(), Result(case("none"), NOTHING, 0.1)], None, "weak", "1 of 2 cases passed, 1 not decided"),
        ([result("bad", wrong=FAILING), MISSING], None, "failed", "0 of 2 cases passed, 1 failed, 1 not decided"),
        ([result()], Interruption(1, 269), "weak", "interrupted: 1 of 269 cases ran, 1 passed"),
        (
            [result("bad", wrong=FAILING)], Interruption(1, 269), "failed",
            "interrupted: 1 of 269 cases ran, 0 passed, 1 failed",
        ),
    ],
)  # fmt: skip
def test_the_headline_is_green_red_or_amber(tmp_path, results, interruption, look, headline):
    found = document(*results, interruption=interruption)
    html.write(found, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert f'<strong class="{look}">{headline}</strong>' in text
    assert f"<title>parity: {headline}</title>" in text
    (header,) = Parsed(text).of("header")
    assert header[1]["class"].split() == ["head", *([] if look == "passed" else [look])]
    assert found["verdict"] == {"passed": "equivalent", "failed": "not equivalent", "weak": "not decided"}[look]
    assert all(f"<li>{reason}</li>" in text for reason in found["undecided"])


def test_junit_counts_nothing_as_passed_that_is_not_decided(tmp_path):
    undecided, wrong = Result(case("none"), NOTHING, 0.1), result("bad", wrong=FAILING)
    junit.write([result(), undecided, wrong, MISSING], tmp_path / "out.xml", seconds=1, interruption=Interruption(4, 9))
    suite = ElementTree.parse(tmp_path / "out.xml").getroot()
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["5", "2", "2"]
    problems = [[(child.tag, child.get("type")) for child in one] for one in suite]
    assert problems == [
        [], [("failure", "not decided")], [("failure", "not equivalent")], [("error", "not decided")],
        [("error", "not decided")],
    ]  # fmt: skip


def test_names_are_escaped(page):
    text = page.read_text(encoding="utf-8")
    assert "fc<1>" not in text
    assert "fc&lt;1&gt;&amp;" in text
    assert "2.9.0&lt;cpu&gt;" in text


def test_the_depth_has_a_line_a_case_and_pytorchs_own():
    cases = document(*(result(dtype=d, mode=m) for d in ("float64", "float32") for m in ("eager", "graph")))["cases"]
    depth = charts.of_subject(cases)[0]
    classes = [name for name, _ in depth.lines]
    assert classes == [
        "bound float64", "bound float32", "own", "float64 eager", "float64 graph", "float32 eager", "float32 graph",
    ]  # fmt: skip
    columns = len(LAYERS) * 2 + 2
    for _, path in depth.lines:
        assert path.count("L") == columns - 1
        heights = [float(pair.split()[1]) for pair in re.split("[ML]", path)[1:]]
        assert all(depth.top <= y <= depth.bottom for y in heights)
    assert [text for *_, text in depth.sections] == ["activations", "out", "gradients"]
    assert [text for _, text in depth.names][:5] == [*LAYERS, "output", "loss"]
    assert depth.marks == depth.rules == []


def test_an_error_ten_times_as_large_lies_a_decade_higher():
    def height(error):
        truth = trace()
        found = compare(truth, port(truth, wrong=truth, error=error), case="net", dtype="float64")
        (chart, *_) = charts.of_subject(document(Result(case(), found, 0.1))["cases"])
        path = dict(chart.lines)["float64 eager"]
        ticks = [(y, np.log10(float(text))) for y, text in chart.ticks_y if text != "0"]
        slope, offset = np.polyfit(*zip(*ticks, strict=True), 1)
        return slope * float(re.split("[ML]", path)[1].split()[1]) + offset

    assert height(1e-4) - height(1e-5) == pytest.approx(1, abs=0.02)


def test_what_failed_is_marked_by_name_where_it_begins(page):
    cases = document(result("bad", wrong=FAILING))["cases"]
    depth, _, loss, steps = charts.of_subject(cases)
    assert [text.split(",")[0] for *_, text in depth.marks] == list(FAILING[:3])
    assert [text for *_, text in depth.rules] == ["a first divergence: activation:fc<1>&"]
    assert [text.split(",")[0] for *_, text in loss.marks] == ["step5:loss"]
    assert steps.marks == []
    titles = [e[2] for e in Parsed(page.read_text(encoding="utf-8")).of("title")]
    assert any(title.startswith("activation:fc<1>&, float64 eager: mismatched") for title in titles)


def test_a_tensor_without_a_number_is_marked_at_the_top(tmp_path):
    wrong = np.full((4, 50), np.nan)
    cases = document(result("nan", **{"activation:bn1": wrong}))["cases"]
    depth = charts.of_subject(cases)[0]
    assert [(y, "NaN or infinite" in text) for _, y, text in depth.marks] == [(depth.top, True)]
    path = dict(depth.lines)["float64 eager"]
    assert path.count("M") == 2  # broken there
    assert "NaN or infinite" in written(tmp_path, result("nan", **{"activation:bn1": wrong})).read_text(
        encoding="utf-8"
    )


def test_losses_are_drawn_beside_pytorchs():
    (found,) = document(result(wrong=("step5:loss",)))["cases"]
    assert [step for step, _, _ in found["losses"]] == list(range(1, STEPS + 1))
    assert [expected for _, expected, _ in found["losses"]] == [2.0 / step for step in range(1, STEPS + 1)]
    apart = [step for step, expected, actual in found["losses"] if abs(actual - expected) > 1e-6]
    assert apart == [5]
    curves = dict(charts.of_subject([found])[1].lines)
    torch, ours = (re.split("[ML]", curves[name])[1:] for name in ("torch", "float64 eager port"))
    assert len(torch) == len(ours) == STEPS
    assert [step for step, (one, other) in enumerate(zip(torch, ours, strict=True), 1) if one != other] == [5]


def test_a_long_run_keeps_its_worst_step():
    tensors = [
        {
            "name": f"step{step}:loss", "kind": "loss", "allowed": 1e-12, "problem": "!",
            "relative": 1e-3 if step == 777 else 1e-15, "passed": step != 777,
        }
        for step in range(1, 4001)
    ]  # fmt: skip
    losses = [[step, 1.0 + step, 1.0 + step] for step in range(1, 4001)]
    run = {
        "dtype": "float64",
        "mode": "graph",
        "tensors": tensors,
        "losses": losses,
        "first_divergence": "step777:loss",
    }
    curve, error = charts.of_subject([run])
    assert dict(error.lines)["float64 graph"].count("L") < charts.POINTS
    assert [text for *_, text in error.marks] == ["step777:loss, float64 graph: !"]
    assert dict(curve.lines)["torch"].count("L") <= charts.POINTS


def test_a_histogram_counts_the_worst_tensors_errors():
    found = result("bad", "float32", wrong=("output", "grad:bn1.weight")).comparison
    counted = found.histogram
    assert counted.tensor == "grad:bn1.weight"  # the output has too few values
    assert sum(counted.counts) == 150
    row = next(row for row in found.rows if row.name == counted.tensor)
    assert counted.reach == row.max_abs
    assert counted.own.max_abs > 0
    chart = charts.histogram(document(result(dtype="float32"))["cases"][0]["histogram"])
    assert len(chart.bars) == BINS
    assert [name for _, name, _ in chart.rules] == ["own rms", "own rms", "own max_abs", "own max_abs"]
    middle = (chart.left + chart.right) / 2
    assert [x for x, *_ in chart.rules[::2]] == [pytest.approx(2 * middle - x, abs=0.2) for x, *_ in chart.rules[1::2]]


def test_a_histogram_of_known_errors():
    expected = np.zeros(100)
    actual = np.r_[np.full(60, 1.0), np.full(39, -0.5), np.nan]
    found = histogram("t", expected, actual, Difference(1.0, 0.5, 1.0))
    assert found.reach == 1.0
    assert {place: count for place, count in enumerate(found.counts) if count} == {10: 39, BINS - 1: 60}
    assert histogram("t", expected, expected) is None
    large = np.zeros(3_000_000)
    assert sum(histogram("t", large, large + 1.0).counts) == 1_000_000
    sampled = histogram("t", fingerprint(np.zeros(5000) + 1.0), np.zeros(5000))
    assert (sum(sampled.counts), sampled.reach) == (64, 1.0)


def test_weak_evidence_is_said_though_its_row_be_cut(tmp_path):
    truth = trace()
    truth["activation:bn1"] = np.ones((4, 50))
    found = compare(truth, Trace(truth.items()), case="net", dtype="float64")
    text = written(tmp_path, Result(case(), found, 0.1)).read_text(encoding="utf-8")
    assert "Weak evidence: constant: a changed order would not be seen (1, first activation:bn1)" in text


def test_long_tables_are_cut_and_say_so(tmp_path):
    text = written(tmp_path, result()).read_text(encoding="utf-8")
    count = len(trace())
    assert count > html.SHOWN_PASSED
    assert f"The worst {html.SHOWN_PASSED} of {count} tensors, in order" in text
    rows = re.findall(r"<tr><td><code>(.*?)</code></td><td [^>]*>[\d,]+</td>\s*<td [^>]*>\d", text)
    assert len(rows) == html.SHOWN_PASSED
    text = written(tmp_path, result(wrong=FAILING)).read_text(encoding="utf-8")
    assert f"Its {count} tensors" in text


def test_a_run_of_300_cases_is_a_page_of_moderate_size(tmp_path):
    results = [
        result(f"net{number}", dtype, mode, wrong=FAILING if number % 10 == 0 else ())
        for number in range(50) for dtype in ("float64", "float32") for mode in ("eager", "graph", "xla")
    ]  # fmt: skip
    assert written(tmp_path, *results).stat().st_size < 8e6


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if not found:
        pytest.skip("no Chromium on this machine to look at the page with")

    def run(page, folder, *arguments, width=1200, height=1600):
        command = [
            found, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}", "--enable-logging=stderr",
            *arguments, page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert "CONSOLE" not in done.stderr, done.stderr  # an error, or something it was not allowed to load
        return done.stdout

    return run


def near(image, color):
    """How many pixels have a color."""
    return int((np.abs(image[..., :3] * 255 - np.array(color)).max(-1) < 3).sum())


def test_a_browser_shows_the_page(browser, page, tmp_path):
    from matplotlib.image import imread

    browser(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}", "--virtual-time-budget=1000", height=3000)
    image = imread(tmp_path / "page.png")
    assert image.shape[:2] == (3000, 1200)
    red, blue, orange = (0xC2, 0x2A, 0x1F), (0x25, 0x63, 0xC9), (0xC2, 0x57, 0x0C)
    assert near(image[:400], red) > 300  # "3 failed"
    assert min(near(image[1200:], color) for color in (red, blue, orange)) > 100  # the charts
    assert near(image, (255, 255, 255)) < 0.97 * image[..., 0].size


def test_a_browser_reads_the_charts(browser, page, tmp_path):
    parsed = Parsed(browser(page, tmp_path, "--dump-dom"))
    assert len(parsed.of("circle", class_="bad", r="4")) >= 2 * len(FAILING)
    assert len(parsed.of("path", class_="line own")) > 1


@pytest.mark.parametrize("width", [500, 1200])
def test_nothing_is_wider_than_the_window(browser, page, tmp_path, width):
    """The page itself has no script and allows none; a copy of it measures itself, with everything opened."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"<meta http-equiv.*?>", "", text).replace("<details", "<details open")
    script = "<script>document.title = document.documentElement.scrollWidth + ' ' + innerWidth</script>"
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    (_, _, title) = Parsed(browser(copy, tmp_path, "--dump-dom", width=width)).of("title")[0]
    assert [int(number) for number in title.split()] == [width, width]


def test_at_400_pixels_no_verdict_number_or_chart_is_cut(browser, page, tmp_path):
    """A window of a headless Chromium is at least 500 pixels wide: the page is looked at through a frame."""
    inner = re.sub(r"<meta http-equiv.*?>", "", page.read_text(encoding="utf-8")).replace("<details", "<details open")
    script = """<script>onload = () => {
      const inside = document.querySelector("iframe").contentDocument;
      const ends = [...inside.querySelectorAll("td, svg")].map(one => one.getBoundingClientRect().right);
      document.title = ends.length + " " + Math.max(...ends);
    }</script>"""
    outer = tmp_path / "outer.html"
    frame = f'<iframe srcdoc="{escape(inner)}" style="width: 400px; height: 900px; border: 0"></iframe>'
    outer.write_text(f"<!doctype html><title>-</title>{frame}{script}", encoding="utf-8")
    (_, _, title) = Parsed(browser(outer, tmp_path, "--dump-dom")).of("title")[0]
    count, right = map(float, title.split())
    assert count > 50
    assert right <= 400
