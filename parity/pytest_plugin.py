"""The pytest fixture `parity`, and `--parity-html`. Imports no framework before a test asks for it."""

import pytest

_REPORTS = pytest.StashKey[list]()


def pytest_addoption(parser) -> None:
    """Add --parity-html."""
    group = parser.getgroup("parity")
    group.addoption("--parity-html", metavar="FILE", help="write all reports of the fixture `parity` as one HTML page")


class Door:
    """What the fixture gives: `check` and `assert_equivalent`, of the arguments of `parity.check`."""

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
        """Fail the test with the full report where the two models are not equivalent."""
        __tracebackhide__ = True
        report = self.check(*args, **kwargs)
        if not report.passed:
            pytest.fail(str(report), pytrace=False)


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
    from parity.report import html
    from parity.report.json import joined

    html.write(joined(reports), path)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Take the reports of a process of pytest-xdist."""
    reports = getattr(node, "workeroutput", {}).get("parity", [])
    node.config.stash.setdefault(_REPORTS, []).extend(map(tuple, reports))


def pytest_terminal_summary(terminalreporter) -> None:
    """Say where the page is."""
    config = terminalreporter.config
    if config.getoption("--parity-html"):
        count = len(config.stash.get(_REPORTS, []))
        said = f"{count} reports in {config.getoption('--parity-html')}" if count else "no test has used the fixture"
        terminalreporter.write_line(f"parity: {said}")
