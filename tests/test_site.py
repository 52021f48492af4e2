"""The site: built without a warning, no link broken, every page whole in a browser, wide and narrow, dark and light."""

import json
import shutil
import subprocess
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from urllib.parse import unquote, urldefrag

import pytest

pytest.importorskip("sphinx")

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "html"
WIDTHS = (400, 1400)
OF_OTHERS = ("https:", "http:", "mailto:", "data:", "javascript:")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site():
    """The folder of the pages, built afresh."""
    done = subprocess.run([ROOT / "scripts" / "dev" / "docs", "-E"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return SITE


class Page(HTMLParser):
    """What a page links and loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found.get("id", ""), found.get("name", "") if tag == "a" else ""}
        if tag == "a":
            self.links.append(found.get("href", ""))
        elif {"src", "href"} & set(found):
            self.loads.append(found.get("src") or found.get("href"))


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def broken(pages):
    """Return what leads nowhere: (page, link)."""
    found = []
    for path, page in pages.items():
        for link in (*page.links, *page.loads):
            if link.startswith(OF_OTHERS):
                continue
            address, anchor = urldefrag(link)
            target = (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            if not target.is_file() or (target in pages and unquote(anchor) not in pages[target].anchors):
                found.append((path.name, link))
    return found


def test_no_link_is_broken(pages):
    assert len(pages) > 30
    assert broken(pages) == []


def test_a_broken_link_is_seen(tmp_path):
    (tmp_path / "a.html").write_text('<a href="#here"></a><a href="b.html"></a><a href="#there"></a><p id="here"></p>')
    assert broken({tmp_path / "a.html": Page(tmp_path / "a.html")}) == [("a.html", "b.html"), ("a.html", "#there")]


def test_the_pages_load_nothing_from_elsewhere(pages, site):
    assert {load for page in pages.values() for load in page.loads if load.startswith(("http", "//"))} == set()
    styles = [path for path in (site / "_static").rglob("*.css") if "http" in path.read_text(encoding="utf-8")]
    assert [path.name for path in styles if "url(http" in path.read_text(encoding="utf-8")] == []


def test_docstrings_keep_the_lines_of_formulas_and_every_character_of_prose(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "extensions")
    from docstrings import converted

    lines = ["Add 2 * x_ |or| `y_`.", "", "v ← μ · v + g", "p ← p − lr · v", "", "Args:", "    lr: the rate, = 0.1."]
    assert converted(lines) == [
        r"Add 2 \* x\_ \|or\| ``y_``.", "", "::", "", "    v ← μ · v + g", "    p ← p − lr · v", "", "Args:",
        "    lr: the rate, = 0.1.", "",
    ]  # fmt: skip


# Shows page after page in a frame, in each width and look; what it finds goes back to the server.
LOOK = """<!doctype html><body><iframe id="frame" height="800"></iframe><script>
const luminance = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (element) => {
  let under = element;
  const clear = (one) => getComputedStyle(one).backgroundColor === "rgba(0, 0, 0, 0)";
  while (clear(under) && under.parentElement) under = under.parentElement;
  const both = [getComputedStyle(element).color, getComputedStyle(under).backgroundColor].map(luminance);
  return (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
};
const look = async (page) => {
  await new Promise((resolve) => { frame.onload = resolve; frame.src = page; });
  const inside = frame.contentDocument, seen = [];
  inside.querySelectorAll("details").forEach((one) => { one.open = true; });
  for (const width of WIDTHS) {
    frame.width = width;
    for (const theme of ["light", "dark"]) {
      inside.body.dataset.theme = theme;
      const title = inside.querySelector("h1") || inside.body;
      seen.push([width, theme, inside.documentElement.scrollWidth, contrast(title)]);
    }
  }
  return seen;
};
const filter = (word) => {
  const field = frame.contentDocument.querySelector("input.filter");
  field.value = word;
  field.dispatchEvent(new Event("input"));
  return [...frame.contentDocument.querySelectorAll("article tbody tr")]
    .filter((row) => row.checkVisibility()).map((row) => row.cells[0].textContent);
};
(async () => {
  const found = { looks: {} };
  try {
    for (const page of PAGES) found.looks[page] = await look(page);
    await look("catalogue/index.html");
    found.filtered = filter("bn eps");
  } catch (error) {
    console.error(error);
  }
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script></body>"""


class Handler(SimpleHTTPRequestHandler):
    """Serves the site and the page that looks at it, and takes what that found."""

    def __init__(self, *arguments, look, found, **options):
        self.look, self.found = look, found
        super().__init__(*arguments, **options)

    def do_GET(self):
        if self.path != "/look.html":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        return self.wfile.write(self.look.encode())

    def do_POST(self):
        self.found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def seen(pages, site, tmp_path_factory):
    """What a browser finds on each page of the site, and what it wrote to its console."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if not chromium:
        pytest.skip("no Chromium on this machine to look at the pages with")
    names = [path.relative_to(site).as_posix() for path in pages if "_downloads" not in path.parts]
    found, folder = Queue(), tmp_path_factory.mktemp("browser")
    look = LOOK.replace("WIDTHS", json.dumps(WIDTHS)).replace("PAGES", json.dumps(names))
    handler = partial(Handler, look=look, found=found, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, (folder / "log").open("w") as log:
        Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={folder / 'profile'}", "--window-size=1600,1000", "--enable-logging=stderr",
             "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/look.html"],
            stderr=log, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            result = found.get(timeout=500)
        except Empty:
            pytest.fail("the browser did not come to an end: " + (folder / "log").read_text()[-2000:])
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    return result, [line for line in (folder / "log").read_text().splitlines() if "CONSOLE" in line]


def test_every_page_was_looked_at(seen, pages):
    assert len(seen[0]["looks"]) >= len(pages) - 1


def test_nothing_is_wider_than_the_window(seen):
    wide = [
        (page, width, wanted)
        for page, looks in seen[0]["looks"].items()
        for width, _, wanted, _ in looks
        if wanted > width
    ]
    assert wide == []


def test_every_page_is_readable_in_both_looks(seen):
    pale = [
        (page, theme) for page, looks in seen[0]["looks"].items() for _, theme, _, contrast in looks if contrast < 4.5
    ]
    assert pale == []


def test_the_catalogue_is_filtered_by_words(seen):
    assert "bn-eps-default" in seen[0]["filtered"]
    assert len(seen[0]["filtered"]) < 20


def test_the_console_is_empty(seen):
    assert seen[1] == []
