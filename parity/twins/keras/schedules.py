"""The schedules of keras_blitz, as Python floats and inside a compiled step."""

import numpy as np
import tensorflow as tf

from keras_blitz.optim import SGD, schedules

RATES = (0.1, 0.037)  # of two parameter groups


def rates(metrics=None, *, name: str, options: dict, steps: int) -> dict:
    """Return the learning rates of two parameter groups step by step, and what an update takes off, gradients being 1.

    Args:
        metrics: what a schedule that looks at one is given after each step.
        name: of the class in keras_blitz.optim.schedules.
        options: its arguments.
        steps: how many.
    """
    parameters = [tf.Variable([0.0], name=group, dtype="float64") for group in ("first", "second")]
    optimizer = SGD(RATES[0], groups=[("second", {"lr": RATES[1]})])
    optimizer.build(parameters)
    schedule = _build(optimizer, name, options)

    @tf.function(autograph=False)
    def update():
        optimizer.apply([tf.ones_like(parameter) for parameter in parameters], parameters)

    told, taken = [], []
    for step in range(steps):
        for parameter in parameters:
            parameter.assign([0.0])
        update()
        told.append(optimizer.param_lrs)
        taken.append([-float(parameter.numpy()[0]) for parameter in parameters])
        schedule.step(*([] if metrics is None else [float(metrics[step])]))
    return {"output:rates": np.array(told), "output:taken": np.array(taken)}


def _build(optimizer, name: str, options: dict):
    """Return a schedule; those inside of it are built first, of the same optimizer."""
    options = dict(options)
    if "schedulers" in options:
        options["schedulers"] = [_build(optimizer, *inner) for inner in options["schedulers"]]
    if name == "ChainedScheduler":
        return schedules.ChainedScheduler(**options)
    return getattr(schedules, name)(optimizer, **options)
