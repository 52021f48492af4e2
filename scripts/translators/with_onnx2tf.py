"""One network, translated by onnx2tf, in onnx2tf's own environment: run by compare_translators.py."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx2tf  # type: ignore[import-not-found]
import torch
from answer import Answer, main
from networks import Question


def translate(question: Question) -> Path:
    """Return the .tflite file that onnx2tf makes of the network's ONNX file, in the working folder."""
    torch.onnx.export(question.module, (question.given,), "net.onnx", dynamo=False, opset_version=17)
    onnx2tf.convert("net.onnx", output_folder_path="out", non_verbose=True)
    return next(Path("out").glob("*float32.tflite"))


def answer(path: Path, question: Question) -> Answer:
    """Run the file; nothing in it can be trained."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found]

    interpreter: Any = Interpreter(str(path))
    interpreter.allocate_tensors()
    (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    given = question.given.numpy()
    if given.shape != tuple(entry["shape"]):
        given = np.moveaxis(given, 1, -1)  # onnx2tf takes the second axis for channels
    interpreter.set_tensor(entry["index"], given.astype(entry["dtype"]))
    interpreter.invoke()
    output = interpreter.get_tensor(exit_["index"])
    if output.shape != question.output.shape:
        output = np.moveaxis(output, -1, 1)
    moves = [each for each in interpreter._get_ops_details() if each["op_name"] == "TRANSPOSE"]
    return Answer(np.asarray(output), len(moves))


if __name__ == "__main__":
    main(translate, answer)
