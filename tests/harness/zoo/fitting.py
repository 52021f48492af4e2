"""Keras's own `fit` on a model of the zoo, with another batch size than the example's."""

import keras
import numpy as np

from keras_blitz.errors import one_line


def draw_inputs(model: keras.Model, count: int) -> np.ndarray | list[np.ndarray]:
    """Return as many random examples for each input of the model, or for its one input; whole numbers are ones.

    An input without a batch axis has the one shape that it takes.
    """
    stream = np.random.RandomState(0)
    shapes = [tuple(count if size is None else size for size in each.shape) for each in model.inputs]
    drawn = [
        stream.standard_normal(shape).astype("f") if "float" in each.dtype else np.ones(shape, each.dtype)
        for shape, each in zip(shapes, model.inputs, strict=True)
    ]
    return drawn if len(drawn) > 1 else drawn[0]


def fit_once(model: keras.Model, examples: int) -> str:
    """Return what is wrong when `fit` takes one step of SGD on one example more than `examples`; "" where nothing is.

    Each output is to become 0. The loss and the weights must stay finite, and weights must move. The model is left
    with other weights. A model without weights has nothing to fit.
    """
    if not model.weights:
        return ""
    given = draw_inputs(model, examples + 1)
    before = [np.array(each.numpy()) for each in model.trainable_weights]
    try:
        wanted = keras.tree.map_structure(np.zeros_like, model.predict(given, batch_size=examples + 1, verbose=0))
        model.compile(keras.optimizers.SGD(1e-3), "mse")
        history = model.fit(given, wanted, batch_size=examples + 1, verbose=0)
    except Exception as error:  # Keras may raise anything
        return f"cannot be fitted: {one_line(error)}"
    if not np.isfinite(history.history["loss"]).all():
        return "the loss of fit is not finite"
    after = [np.array(each.numpy()) for each in model.trainable_weights]
    if not all(np.isfinite(each).all() for each in after):
        return "weights are not finite after fit"
    moved = any(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    return "" if moved else "fit moved no weight"
