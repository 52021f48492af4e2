"""What a report says of how two models were paired."""

import keras

from keras_blitz import keras_internals
from keras_blitz.weights import layout
from parity.pair import feed, following, step, units
from parity.pair.port import Port


def notes_of(port: Port) -> list[str]:
    """Return what was inferred of two models that are paired, one line each."""
    found = [*port.pairing.notes, *following.notes(port.theirs, port.pairing.units), *port.drawn]
    found += filter(None, [feed.described(port.theirs, port.model), _of_probabilities(port)])
    for name, each in port.input_layouts.items():
        if each is not layout.SAME:
            shape = port.theirs.named[name].shape
            ours = feed.keras_shape(each, shape)
            found.append(f"{name}: PyTorch's {shape} is {ours} in Keras, channels last")
    for (name, number), sizes in port.flattened.items():
        if port.layers.get(name) is not None and port.layers[name].weights and not number:
            found.append(f"{name}: its input is flattened from {sizes}, its weights permuted from PyTorch's order")
    if sums := [f"{first} + {name}" for name, first in port.pairing.twins.items()]:
        more = f", and {len(sums) - 3} more" if len(sums) > 3 else ""
        found.append(f"Keras has one bias, the sum of PyTorch's two: {', '.join(sums[:3])}{more} (gap lstm-map)")
    if adapted := [name for name, layer in port.layers.items() if layer.weights and units.is_adapted(layer)]:
        found.append(f"{', '.join(adapted)}: the statistics are left as they are, what it returns is compared")
    if port.theirs.folded:
        names = ", ".join(port.theirs.folded)
        found.append(f"computed in PyTorch (weight_norm and the like), compared as plain weights: {names}")
    if port.squeezed:
        names = ", ".join(port.squeezed)
        found.append(f"{names}: without PyTorch's first axis, of layers, which Keras's states do not have")
    if port.extra:
        mode = "eval" if port.options.train else "train"
        found.append(f"returned by PyTorch in {mode} mode alone, not compared: {', '.join(port.extra)}")
    if port.theirs.flow.plain:
        names = ", ".join(port.theirs.flow.plain)
        found.append(f"numbers and texts that PyTorch returns beside tensors, not compared: {names}")
    if unmatched := [name for name in port.unmatched if name]:
        found.append(f"PyTorch's modules without a counterpart, not compared: {', '.join(unmatched)}")
    if port.options.loss is None:
        if port.adds_losses():
            found.append(
                "the Keras model adds to its loss (regularizers, add_loss): compared only where loss= is given"
            )
        found.append(
            "no loss was given: gradients are those of the outputs' sum, each value times a fixed random weight"
        )
    return found


def _of_probabilities(port: Port) -> str:
    """Say that a loss that takes logits is given what a softmax or sigmoid returned; "" where it is not.

    Keras's own losses of logits go back to what the softmax was given: there it is taken once.
    """
    given = port.options.loss[1] if port.options.loss else None
    losses = keras.tree.flatten(given.losses if isinstance(given, step.CompiledLoss) else given)
    takes = str(getattr(losses[0], "takes", "")) if len(losses) == len(port.outputs) == 1 else ""
    if not takes:
        return ""
    if keras_internals.logits_of(next(iter(port.outputs.values()))) is None:
        return ""
    return (
        f"Keras's loss takes {takes} and is given the output of a softmax or sigmoid: likely a mistake, also where "
        "PyTorch's does the same (gap ce-softmax-in-model)"
    )
