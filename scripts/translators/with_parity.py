"""One network, translated by `parity translate`: what compare_translators.py runs in a process of its own."""

from answer import Answer, main, run_keras
from networks import Question

import parity
from parity.translate.port import Port


def translate(question: Question) -> Port:
    """Return the port, without its proof: all translators are measured alike."""
    port = parity.translate(question.module, question.given.numpy(), check=False)
    port.build("float32")
    return port


def answer(port: Port, question: Question) -> Answer:
    """Run the port."""
    model = port.build("float32")
    output, trainable = run_keras(model, question)
    moves = [operation for operation in model.operations if type(operation).__name__ in ("Transpose", "Permute")]
    return Answer(output, len(moves), port.source.count("\n"), trainable)


if __name__ == "__main__":
    main(translate, answer)
