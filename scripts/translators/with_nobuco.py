"""One network, translated by nobuco, in nobuco's own environment: run by compare_translators.py."""

from typing import Any

from answer import Answer, main, run_keras
from networks import Question

import nobuco  # isort: skip  # it imports torchvision, whose missing operators networks.py declares

MOVES = ("permute", "transpose")


def translate(question: Question) -> Any:
    """Return nobuco's Keras 2 model; images have their channels last, as ours have."""
    order = nobuco.ChannelOrder.TENSORFLOW if question.given.ndim == 4 else nobuco.ChannelOrder.PYTORCH
    last = nobuco.ChannelOrder.TENSORFLOW if question.output.ndim == 4 else nobuco.ChannelOrder.PYTORCH
    return nobuco.pytorch_to_keras(
        question.module, args=[question.given], inputs_channel_order=order, outputs_channel_order={0: last}
    )


def answer(model: Any, question: Question) -> Answer:
    """Run the model, and count its layers that move axes."""
    output, trainable = run_keras(model, question)
    names = [layer.name.lower() for layer in model._flatten_layers() if layer is not model]
    return Answer(output, sum(any(move in name for move in MOVES) for name in names), None, trainable)


if __name__ == "__main__":
    main(translate, answer)
