"""Turn the data sets PyTorch has downloaded, or folders of images, into tensorflow-datasets, to be read offline.

python scripts/prepare_data.py ~/data --name mnist
"""

# D2 of docs/inventory.md.

from pathlib import Path
from typing import Annotated

import typer

from keras_blitz import command
from keras_blitz.data.prepare import prepare
from keras_blitz.progress import spinner


def main(
    source: Annotated[Path, typer.Argument(help="MNIST/raw, cifar-10-batches-py …, or the folder they are in.")],
    name: Annotated[
        str | None, typer.Option(help="mnist, fashion_mnist, cifar10, or a name for your images (a–z, 0–9, _).")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="tensorflow-datasets directory; TFDS_DATA_DIR or ~/tensorflow_datasets.")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace what was prepared before.")] = False,
) -> None:
    """Prepare a data set: MNIST, FashionMNIST, cifar-10-batches-py, or class-named folders of images."""
    from keras_blitz.quiet import import_tensorflow

    with spinner("reading …") as say:
        import_tensorflow()
        written = prepare(source, name, data_dir, overwrite, lambda split, count: say(f"{split}: {count:,} images"))
    where = f", data_dir={str(data_dir)!r}" if data_dir else ""
    print(f"{written}: ready, tfds.load({written.parent.name!r}{where}) reads it")


if __name__ == "__main__":
    command.run_script(main, "prepare_data")
