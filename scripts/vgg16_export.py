"""VGG16: its structure, weights saved and loaded, the whole model saved and loaded, eval mode, ONNX.

python scripts/vgg16_export.py                          with initial values
python scripts/vgg16_export.py --weights imagenet       with torchvision's weights
"""

# S5 of docs/inventory.md.

import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from keras_blitz import command
from keras_blitz.files import atomic_path, make_folder


def largest_difference(ours: np.ndarray, other: np.ndarray) -> float:
    """Return max |ours − other| / max |ours|."""
    return float(abs(ours - other).max() / abs(ours).max())


def lesson(network: str, weights: str | None, folder: Path) -> dict[str, float]:
    """Print the lesson; return how far each copy of the network is from it, relative to its largest output."""
    import tensorflow as tf

    from keras_blitz import models
    from keras_blitz.export import export_onnx, run_onnx, save_saved_model
    from keras_blitz.models import load_model
    from keras_blitz.training.checks import check_network

    check_network(network)
    model = models.build(network, weights=weights)
    model.summary()
    images = np.random.RandomState(0).rand(2, *model.input_shape[1:]).astype(np.float32)
    # In train mode dropout draws another mask each time; PyTorch asks for model.eval(), Keras for training=False.
    outputs = model(images, training=False).numpy()
    again = model(images, training=False).numpy()
    trained = [model(images, training=True).numpy() for _ in range(2)]
    print("eval mode, twice:  the same:", np.array_equal(outputs, again))
    print("train mode, twice: the same:", np.array_equal(*trained))
    found = {}

    # The weights alone: a network of the same structure must be there to load them.
    path = folder / f"{network}.weights.h5"
    with atomic_path(path) as temporary:
        model.save_weights(temporary)
    other = models.build(network)
    other.load_weights(path)
    found["weights"] = largest_difference(outputs, other(images, training=False).numpy())

    # The whole model: the structure is in the file.
    path = folder / f"{network}.keras"
    with atomic_path(path) as temporary:
        model.save(temporary)
    found["whole model"] = largest_difference(outputs, load_model(path)(images, training=False).numpy())
    save_saved_model(model, folder / f"{network}-saved")
    saved = tf.saved_model.load(folder / f"{network}-saved")  # kept, because it holds the weights
    found["SavedModel"] = largest_difference(outputs, saved.serve(images).numpy())

    # ONNX, in PyTorch's layout (N, C, H, W) too.
    for name, channels_first in (("ONNX", False), ("ONNX, channels first", True)):
        path = folder / f"{network}{'-nchw' if channels_first else ''}.onnx"
        export_onnx(model, path, channels_first)
        given = np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if channels_first else images
        found[name] = largest_difference(outputs, run_onnx(path, given))
    for name, difference in found.items():
        print(f"{name}: differs by {difference:.1e}")
    return found


def main(
    network: Annotated[str, typer.Option(help="A name of keras_blitz.models.")] = "vgg16",
    weights: Annotated[str | None, typer.Option(help="imagenet, or a PyTorch checkpoint.")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to keep the files in (VGG16: 2.6 GB).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Run the same with LeNet, in seconds.")] = False,
) -> None:
    """Save, load and export a network, and compare what comes back."""
    from keras_blitz.quiet import import_tensorflow

    folder = make_folder(output or Path(tempfile.mkdtemp(prefix="vgg16-")))
    try:
        import_tensorflow()
        found = lesson("lenet" if dry_run else network, weights, folder)
    finally:
        if output is None:
            shutil.rmtree(folder, ignore_errors=True)
    raise SystemExit(max(found.values()) > 1e-5)


if __name__ == "__main__":
    command.run_script(main, "vgg16_export")
