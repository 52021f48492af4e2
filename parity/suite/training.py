"""How a training run is recorded on both sides."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.floatx import precision
from parity.cases.rows import TrainingRow
from parity.cases.training import COVERS
from parity.core import inputs
from parity.core.trace import Trace
from parity.suite.case import Case


def cases(rows: Iterable[TrainingRow]) -> Iterator[Case]:
    """Yield the cases of these runs."""
    for row in rows:
        for dtype in row.dtypes:
            yield Case(
                subject=row.subject,
                group="training",
                covers=("R5", COVERS[row.recipe]),
                dtype=dtype,
                mode="graph",
                record_reference=partial(_record_reference, row),
                record_port=partial(record_port, row),
                samples=4 if "float32" in row.dtypes else 0,  # a run may be chaotic: one says little
                needs=row.recipe if row.data == "real" else "",
                slow=row.slow,
            )


def _recipe(row: TrainingRow):
    from keras_blitz.training.recipes import RECIPES

    return RECIPES[row.recipe]


@lru_cache(maxsize=1)
def _data(recipe: str, data: str):
    from keras_blitz.data.datasets import KNOWN, load, sample_as

    return load(recipe) if data == "real" else sample_as(recipe, KNOWN[recipe].shape)


def _record_reference(row: TrainingRow, dtype: str, sample: int = 0) -> Trace:
    import torch

    from parity.twins.torch.training import Run

    data = _data(row.recipe, row.data)
    run = Run(_recipe(row), data.train, row.seed, dtype)
    trace = Trace(framework="torch", version=torch.__version__)
    with torch.no_grad():
        state = {name: value.numpy().astype(np.float32) for name, value in run.net.named_parameters()}
        for name, value in inputs.moved(state, sample).items():
            run.net.get_parameter(name).copy_(torch.from_numpy(value))
    for name, parameter in run.net.named_parameters():
        trace.add(f"param:{name}", parameter.detach().numpy().copy())
    losses: list[float] = []
    while len(losses) < (row.steps or 1):
        losses += [loss for loss, _ in islice(run.epoch(), row.steps and row.steps - len(losses))]
    _add_losses(trace, np.array(losses, dtype))
    if row.steps is None:
        _add_answers(trace, run.logits(data.test))
    return trace


def record_port(row: TrainingRow, dtype: str, mode: str = "graph", left_out: Sequence[str] = (), recipe=None) -> Trace:
    """Return the port's run; `recipe` in place of the row's own, to see what a mistake in it makes."""
    import tensorflow as tf

    import keras_blitz
    from keras_blitz.training.loop import trainer_of

    gc.collect()  # Keras's models are cycles, and the last run's holds its data set
    recipe = recipe or _recipe(row)
    data = _data(row.recipe, row.data)
    with keras_blitz.random.fork_rng(), precision(dtype):
        keras_blitz.manual_seed(row.seed)
        recipe.draw_shown_batch(len(data.train))
        trainer = trainer_of(recipe, data.train, row.loop, dtype=dtype, steps_per_call=10)
        trace = Trace(framework="tensorflow", version=tf.__version__)
        for name, parameter in keras_blitz.state_dict(trainer.model).items():
            trace.add(f"param:{name}", parameter)
        losses = np.zeros(0, dtype)
        while len(losses) < (row.steps or 1):
            before = len(losses)
            trainer.run_epoch(lambda *_, before=before: not row.steps or before + trainer.step < row.steps)
            losses = np.append(losses, trainer.losses)
        _add_losses(trace, losses[: row.steps])
        if row.steps is None:
            _add_answers(trace, trainer.logits(data.test))
    return trace.without(left_out)


def _add_losses(trace: Trace, losses: np.ndarray) -> None:
    for step, loss in enumerate(losses, 1):
        trace.add(f"step{step}:loss", loss)


def _add_answers(trace: Trace, logits: np.ndarray) -> None:
    trace.add("output:logits", logits)
    trace.add("output:predicted", logits.argmax(1).astype(np.int64))


def missing(case: Case) -> str:
    """Say which data set a case needs and this machine has not, and how to get it; "" where nothing is missing."""
    from keras_blitz.data.datasets import data_directory, find_prepared

    if not case.needs or find_prepared(case.needs):
        return ""
    return (
        f"the data set {case.needs!r} is not in {data_directory()}:"
        f" python scripts/prepare_data.py FOLDER --name {case.needs}"
    )


def without_missing(chosen: list[Case]) -> tuple[list[Case], list[str]]:
    """Return the cases whose data is there, and a line for each data set that is not.

    Raises:
        BlitzError: no case is left.
    """
    said: dict[str, int] = {}
    for case in chosen:
        if reason := missing(case):
            said[reason] = said.get(reason, 0) + 1
    left = [case for case in chosen if not missing(case)]
    if not left:
        raise BlitzError("; ".join(said))
    return left, [f"skipped {count} cases: {reason}" for reason, count in said.items()]
