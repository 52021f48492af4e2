"""Print docs/measured.json: what each row of the catalogue of differences came to, for the pages of the catalogue.

python scripts/dev/measured.py > measured.json && mv measured.json docs        needs PyTorch; about a minute
"""

import json

from keras_blitz.progress import track
from keras_blitz.versions import versions
from parity.session import load

load(live=True)

from parity.gaps import catalogue  # noqa: E402 - after PyTorch and TensorFlow, in this order
from parity.gaps.measure import Measurement, measure  # noqa: E402


def stored(measured: Measurement) -> dict[str, str | bool]:
    """Return what the pages show of a row: both outcomes as texts, and whether the naive port differs."""
    return {"naive": str(measured.naive), "exact": str(measured.exact), "differs": measured.differs}


if __name__ == "__main__":
    rows = {one.id: stored(measure(one)) for one in track(catalogue(), "gaps", lambda one: one.id)}
    print(json.dumps({"versions": versions("torch"), "rows": rows}, indent=1, ensure_ascii=False))
