"""Make the sample inside the package: real Fashion-MNIST images, class-balanced, from torchvision's raw files.

python scripts/dev/make_sample.py FashionMNIST/raw keras_blitz/data/sample/fashion_mnist.npz
"""

import argparse
import gzip
import struct
from pathlib import Path

import numpy as np

from keras_blitz import command
from keras_blitz.files import atomic_path

PER_CLASS = {"train": 200, "test": 100}
STEMS = {"train": "train", "test": "t10k"}


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of bytes: a big-endian header (0, 0, 8, rank, sizes), then the values."""
    data = gzip.decompress(path.read_bytes())
    rank = data[3]
    sizes = struct.unpack(f">{rank}I", data[4 : 4 + 4 * rank])
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the first `count` images of each class, in the data set's own order."""
    return np.sort(np.concatenate([np.flatnonzero(labels == label)[:count] for label in range(10)]))


def main() -> None:
    """Write the sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("raw", type=Path, help="folder with the four *-ubyte.gz files")
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arrays = {}
    for split, stem in STEMS.items():
        labels = read_idx(arguments.raw / f"{stem}-labels-idx1-ubyte.gz")
        chosen = first_of_each_class(labels, PER_CLASS[split])
        arrays[f"{split}_images"] = read_idx(arguments.raw / f"{stem}-images-idx3-ubyte.gz")[chosen]
        arrays[f"{split}_labels"] = labels[chosen]
    with atomic_path(arguments.output) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)
    print(f"{arguments.output}: {arguments.output.stat().st_size:,} bytes")


if __name__ == "__main__":
    command.run(main, "make_sample")
