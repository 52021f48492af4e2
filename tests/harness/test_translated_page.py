"""docs/translated.md shows what is written today, beside PyTorch's source."""

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("torch")

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not importlib.util.find_spec("torchvision"), reason="needs torchvision"),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("translated", ROOT / "scripts" / "dev" / "translated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "name", ["nanogpt", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vit", "resnet18"))]
)
def test_page_is_what_is_written_today(name, script):
    page = (ROOT / "docs" / "translated.md").read_text(encoding="utf-8")
    assert page.startswith(script.HEAD)
    assert page.count("\n## ") == len(script.LISTINGS)
    assert script.LISTINGS[name].text() in page, "python scripts/dev/translated.py > docs/translated.md"
