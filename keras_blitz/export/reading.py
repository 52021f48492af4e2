"""An exported file, opened: ONNX, TFLite or a SavedModel, whoever wrote it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.export.apart import call_apart
from keras_blitz.export.needs import need
from keras_blitz.export.tflite import refuse_endless_steps, without_notice

DEQUANTIZE = 6  # TFLite's number of the operation that makes floats of whole numbers


@dataclass(frozen=True)
class Tensor:
    """An input or output of a file.

    Args:
        name: in the file.
        shape: None where a size is open.
        dtype: NumPy's name of its type.
        step: what one unit of a whole number stands for; 0 where the file does not quantize it.
        zero: the whole number that stands for 0.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    step: float = 0.0
    zero: int = 0


@dataclass(frozen=True)
class Exported:
    """An opened file.

    Args:
        path: of the file.
        kind: "ONNX", "TFLite" or "SavedModel".
        inputs: in the file's order.
        outputs: in the model's order.
        call: {name: array} of the file's types -> {name: array}.
    """

    path: Path
    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    call: Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]

    def run(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs by name, floats where the file has whole numbers that stand for them.

        Args:
            given: an array for each input, in its shape.

        Raises:
            BlitzError: the file cannot be run on these.
        """
        try:
            outputs = self.call({entry.name: _quantize(given[entry.name], entry) for entry in self.inputs})
        except Exception as error:  # the runtimes' errors have no common class
            raise BlitzError(f"{self.path}: {one_line(error)}") from error
        return {entry.name: _dequantize(np.asarray(outputs[entry.name]), entry) for entry in self.outputs}


def open_exported(path: str | os.PathLike[str]) -> Exported:
    """Open a .onnx or .tflite file, or the folder of a SavedModel.

    Raises:
        BlitzError: it is missing, is none of these, or cannot be read; onnxruntime is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise BlitzError(f"{path}: no such file")
    known = {".onnx": _open_onnx, ".tflite": _open_tflite}
    opened = _open_saved_model if (path / "saved_model.pb").is_file() else known.get(path.suffix)
    if opened is None:
        raise BlitzError(f"{path}: not a .onnx or .tflite file, nor the folder of a SavedModel")
    try:
        return opened(path)
    except BlitzError:
        raise
    except Exception as error:  # the runtimes' errors have no common class
        raise BlitzError(f"{path}: {one_line(error)[:200]}") from error


def _open_onnx(path: Path) -> Exported:
    need("onnxruntime")
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return dict(zip([entry.name for entry in outputs], session.run(None, given), strict=True))

    inputs, outputs = (
        tuple(
            Tensor(
                entry.name,
                tuple(size if isinstance(size, int) else None for size in entry.shape),
                _numpy_name(entry.type.removeprefix("tensor(").removesuffix(")")),
            )
            for entry in entries
        )
        for entries in (session.get_inputs(), session.get_outputs())
    )
    return Exported(path, "ONNX", inputs, outputs, call)


def _numpy_name(onnx_type: str) -> str:
    return {"float": "float32", "double": "float64"}.get(onnx_type, onnx_type)


def _open_tflite(path: Path) -> Exported:
    refuse_endless_steps(str(path), path.read_bytes())
    inputs, outputs = call_apart(lambda: _tensors_of_tflite(path), "TFLite's reading of it")

    def call(given: dict[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        return call_apart(lambda: _interpreter(path).get_signature_runner()(**given), "TFLite's interpreter")

    return Exported(path, "TFLite", inputs, outputs, call)


def _interpreter(path: Path) -> Any:
    import tensorflow as tf

    # Its own kernels: XNNPACK, the default, refuses some files of an open batch size when they are run.
    kernels = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with without_notice():
        return tf.lite.Interpreter(os.fspath(path), experimental_op_resolver_type=kernels)


def _tensors_of_tflite(path: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    interpreter = _interpreter(path)
    if not interpreter.get_signature_list():
        raise BlitzError("has no signature; write it with export_tflite or TFLiteConverter.from_saved_model")
    runner, steps = interpreter.get_signature_runner(), _steps_before_floats(path)

    def tensors(details: Mapping[str, Any]) -> tuple[Tensor, ...]:
        return tuple(
            Tensor(
                name,
                tuple(None if size < 0 else int(size) for size in entry["shape_signature"]),
                np.dtype(entry["dtype"]).name,
                float(entry["quantization"][0]) or steps.get(entry["index"], 0.0),
                int(entry["quantization"][1]),
            )
            for name, entry in sorted(details.items(), key=_in_order)
        )

    return tensors(runner.get_input_details()), tensors(runner.get_output_details())


def _steps_before_floats(path: Path) -> dict[int, float]:
    """Return the step of each float tensor that is made of whole numbers, by the tensor's number."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(os.fspath(path))
    graph, steps = model.subgraphs[0], {}
    for operation in graph.operators:
        code = model.operatorCodes[operation.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == DEQUANTIZE:
            quantization = graph.tensors[operation.inputs[0]].quantization
            steps[int(operation.outputs[0])] = float(quantization.scale[0])
    return steps


def _open_saved_model(path: Path) -> Exported:
    import tensorflow as tf

    saved = tf.saved_model.load(os.fspath(path))
    if "serving_default" not in saved.signatures:
        raise BlitzError(f"{path}: has no signature serving_default")
    serve = saved.signatures["serving_default"]

    def tensors(specs: Mapping[str, Any]) -> tuple[Tensor, ...]:
        return tuple(
            Tensor(name, tuple(spec.shape), spec.dtype.name) for name, spec in sorted(specs.items(), key=_in_order)
        )

    def call(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        assert saved is not None  # its variables live as long as it does
        outputs = serve(**{name: tf.constant(value) for name, value in given.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    inputs, outputs = serve.structured_input_signature[1], serve.structured_outputs
    return Exported(path, "SavedModel", tensors(inputs), tensors(outputs), call)


def _in_order(entry: tuple[str, Any]) -> tuple[str, int]:
    """Return the order of a name: "output_2" comes before "output_10"."""
    head, _, number = entry[0].rpartition("_")
    return (head, int(number)) if number.isdigit() else (entry[0], 0)


def _quantize(value: np.ndarray, entry: Tensor) -> np.ndarray:
    """Return floats as the whole numbers that stand for them, where the file takes those."""
    kind = np.dtype(entry.dtype)
    if entry.step and kind.kind in "iu":
        limits = np.iinfo(kind)
        return np.clip(np.rint(value / entry.step) + entry.zero, limits.min, limits.max).astype(kind)
    return np.ascontiguousarray(value, kind)


def _dequantize(value: np.ndarray, entry: Tensor) -> np.ndarray:
    if entry.step and value.dtype.kind in "iu":
        return ((value.astype("float64") - entry.zero) * entry.step).astype("float32")
    return value
