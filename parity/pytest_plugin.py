"""The pytest fixture `parity`, and `--parity-html`. Imports no framework before a test asks for it."""

from pathlib import Path

import pytest

_REPORTS = pytest.StashKey[list]()
_PROBLEM = pytest.StashKey[str]()  # why the page could not be written


def pytest_addoption(parser) -> None:
    """Add --parity-html."""
    group = parser.getgroup("parity")
    group.addoption("--parity-html", metavar="FILE", help="write all reports of the fixture `parity` as one HTML page")


def pytest_configure(config) -> None:
    """Refuse a page that cannot be written before any test runs."""
    path = config.getoption("--parity-html")
    if not path or hasattr(config, "workerinput"):  # a process of pytest-xdist writes no page
        return
    from keras_blitz.errors import BlitzError
    from keras_blitz.files import check_target

    try:
        check_target(Path(path))
    except BlitzError as error:
        raise pytest.UsageError(f"--parity-html {error}") from None


class Door:
    """The value of the fixture: `check` and `assert_equivalent`, with the arguments of `parity.check`.

    A call of the fixture itself, `parity(torch_module, keras_model, inputs)`, is `assert_equivalent`.
    """

    def __init__(self, name: str, reports: list):
        self._name, self._reports, self._calls = name, reports, 0

    def check(self, *args, **kwargs):
        """Return the report of `parity.check`."""
        from parity import check

        report = check(*args, **kwargs)
        self._calls += 1
        name = self._name if self._calls == 1 else f"{self._name} ({self._calls})"
        self._reports.append((name, report.to_dict()))
        return report

    def assert_equivalent(self, *args, **kwargs) -> None:
        """Fail the test with the full report if the two models are not equivalent."""
        __tracebackhide__ = True
        report = self.check(*args, **kwargs)
        if not report.passed:
            pytest.fail(str(report), pytrace=False)

    def __call__(self, *args, **kwargs) -> None:
        """Call `assert_equivalent`."""
        __tracebackhide__ = True
        self.assert_equivalent(*args, **kwargs)

    def __getattr__(self, name: str):
        """Return `transfer`, `translate` and what else the package has: the fixture hides the module of its name."""
        import parity

        return getattr(parity, name)


@pytest.fixture(name="parity")
def _parity(request) -> Door:
    """Check a port: `parity.assert_equivalent(torch_module, keras_model, inputs)`."""
    reports = request.config.stash.setdefault(_REPORTS, [])
    return Door(request.node.name, reports)


def pytest_sessionfinish(session) -> None:
    """Write the page; a process of pytest-xdist hands its reports to the one that writes."""
    path = session.config.getoption("--parity-html")
    reports = session.config.stash.get(_REPORTS, [])
    if not path or not reports:
        return
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["parity"] = reports
        return
    from keras_blitz.errors import BlitzError
    from parity.report import html
    from parity.report.json import joined

    try:
        html.write(joined(reports), path)
    except BlitzError as error:  # the folder has gone, or the disk is full: the summary of the tests still comes
        session.config.stash[_PROBLEM] = str(error)
        session.exitstatus = session.exitstatus or pytest.ExitCode.USAGE_ERROR


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Take the reports of a process of pytest-xdist."""
    reports = getattr(node, "workeroutput", {}).get("parity", [])
    node.config.stash.setdefault(_REPORTS, []).extend(map(tuple, reports))


def pytest_terminal_summary(terminalreporter) -> None:
    """Print where the page is, or why there is none."""
    config = terminalreporter.config
    path = config.getoption("--parity-html")
    if not path:
        return
    count = len(config.stash.get(_REPORTS, []))
    outcome = f"{count} reports in {path}" if count else "no page was written, because no test used the fixture"
    terminalreporter.write_line(f"parity: {config.stash.get(_PROBLEM, outcome)}")
