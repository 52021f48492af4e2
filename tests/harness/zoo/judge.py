"""One model of the zoo, translated and proven, as a line of the table."""

import tempfile
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from pairs.pair import trained

import parity
from keras_blitz.errors import BlitzError, one_line
from zoo.fitting import draw_inputs, fit_once
from zoo.readability import faults, measure
from zoo.row import Row


def judge(row: Row) -> dict[str, Any]:
    """Translate a model and prove it in float64; return what the table says of it.

    "reason" is why it does not pass, "unreadable" what is not readable of its source; both are empty where all is well.
    """
    torch.manual_seed(0)
    module = trained(row.build())
    if row.settled:
        _settle(module, row.inputs)
    begun = time.perf_counter()
    try:
        port = parity.translate(module, row.inputs, train=row.train, dtypes=("float64",), batch=row.batch)
    except BlitzError as error:
        return {"reason": str(error).splitlines()[0]}
    figures = measure(module, port.source)
    found = {
        **figures,
        "unreadable": faults(figures),
        "tensors": sum(len(c.rows) for r in port.proof.reports.values() for c in r.comparisons.values()),
        "modes": list(port.proof.reports),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    found["reason"] = _in_use(port, row) if port.passed else port.proof.line
    return {**found, "source": port.source}


def _in_use(port: Any, row: Row) -> str:
    """Return what is wrong with the proven model as Keras uses it; "" where nothing is.

    `fit` takes examples along axis 0, so it is not for a model that has no batch there.
    """
    wrong = _after_a_round_trip(port)
    return fit_once(port.build("float32"), len(row.inputs[0])) if row.batch and not wrong else wrong


def _settle(module: Any, inputs: tuple[np.ndarray, ...]) -> None:
    """Give BatchNorm the statistics of the inputs."""
    norms = [inner for inner in module.modules() if isinstance(inner, torch.nn.modules.batchnorm._BatchNorm)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(*map(torch.from_numpy, inputs))
    module.eval()
    for norm, momentum in zip(norms, usual, strict=True):
        norm.momentum = momentum


def _after_a_round_trip(port: Any) -> str:
    """Return what is wrong after the model was saved and loaded; "" where nothing is."""
    model = port.build("float32")
    given = draw_inputs(model, 2)
    before = keras.tree.flatten(model(given, training=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.keras"
        try:
            model.save(path)
            after = keras.tree.flatten(keras.models.load_model(path)(given, training=False))
        except Exception as error:  # Keras may raise anything
            return f"cannot be saved and loaded: {one_line(error)}"
    same = all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    return "" if same else "saved and loaded, it has other outputs"
