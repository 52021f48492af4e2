"""CIFAR-10, MNIST, Fashion-MNIST and prepared folders, read with tensorflow-datasets; or the sample in the package."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from keras_blitz.data.sample import CLASSES as FASHION_CLASSES
from keras_blitz.data.sample import load_sample
from keras_blitz.data.transforms import fit_to
from keras_blitz.errors import BlitzError
from keras_blitz.files import expand


@dataclass(frozen=True)
class Known:
    """A data set of the tutorials.

    Args:
        shape: of an image, (H, W, C).
        classes: in the order of the labels, as the tutorials call them.
        version: of tensorflow-datasets' builder.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    version: str


CONNECT_SECONDS = 10  # to wait for a server's answer; tensorflow-datasets alone would try for minutes
DIGITS = tuple("0123456789")
CIFAR_CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

KNOWN = {
    "mnist": Known((28, 28, 1), DIGITS, "3.0.1"),
    "fashion_mnist": Known((28, 28, 1), FASHION_CLASSES, "3.0.1"),
    "cifar10": Known((32, 32, 3), CIFAR_CLASSES, "3.0.2"),
}


@dataclass(frozen=True)
class Split:
    """Images (N, H, W, C) uint8 0–255 and labels (N,) int64, indices into the data set's classes."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImageData:
    """A data set in memory.

    Args:
        name: of the data set.
        train: what is learnt from.
        test: what is tested on.
        classes: names of the labels.
        source: where it was read from; "sample" for the sample in the package.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    source: str

    @property
    def is_sample(self) -> bool:
        """Whether it is the sample in the package."""
        return self.source == "sample"


def data_directory(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the tensorflow-datasets directory: the one given, `TFDS_DATA_DIR`, or ~/tensorflow_datasets.

    Raises:
        BlitzError: it is a file, or of a user that there is not.
    """
    folder = expand(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets")
    if folder.exists() and not folder.is_dir():
        raise BlitzError(f"{folder}: is a file; give the folder of tensorflow-datasets")
    return folder


def find_prepared(name: str, data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return the directory of the latest prepared version of a data set; None: there is none."""
    found = (data_directory(data_dir) / name).glob("*/dataset_info.json")
    return max((path.parent for path in found), key=lambda path: _version(path.name), default=None)


def _version(text: str) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in text.split(".")]


def load(name: str, data_dir: str | os.PathLike[str] | None = None, download: bool = False) -> ImageData:
    """Read a data set into memory.

    What `prepare` wrote comes in the order of PyTorch's files, and so does CIFAR-10 from a download, whose examples are
    numbered; a downloaded MNIST stays in the order tensorflow-datasets shuffled it into.

    Args:
        name: "mnist", "fashion_mnist", "cifar10", or what a folder was prepared as.
        data_dir: the tensorflow-datasets directory; None: see `data_directory`.
        download: let tensorflow-datasets download it if it is not there.

    Raises:
        BlitzError: it is not there, cannot be downloaded, is damaged, or its images are of different sizes.
    """
    directory = find_prepared(name, data_dir)
    if directory is None and download:
        directory = _download(name, data_dir)
    if directory is None:
        raise BlitzError(
            f"no data set {name!r} in {data_directory(data_dir)} nor in the package; make it from what PyTorch"
            f" downloaded (python scripts/prepare_data.py FOLDER --name {name})"
            + (", or add --download" if name in KNOWN else "")
        )
    return _read(name, directory)


def load_or_sample(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = False,
    shape: tuple[int, int, int] | tuple[()] = (),
) -> ImageData:
    """Read a data set, or the sample if it was not prepared and may not be downloaded.

    Args:
        name: see `load`.
        data_dir: see `load`.
        download: see `load`.
        shape: of the images that the network takes; the sample is fitted to it (see `fit_to`).

    Raises:
        BlitzError: see `load`.
    """
    if download or find_prepared(name, data_dir):
        return load(name, data_dir, download)
    return sample_as(name, shape)


def sample_as(name: str, shape: tuple[int, int, int] | tuple[()] = ()) -> ImageData:
    """Return the sample in place of another data set, fitted to a network's images (see `fit_to`)."""
    train, test = (_sample_split(split, shape) for split in ("train", "test"))
    return ImageData(name, train, test, FASHION_CLASSES, "sample")


def _sample_split(split: str, shape: tuple[int, int, int] | tuple[()]) -> Split:
    images, labels = load_sample(split)
    return Split(fit_to(images, shape) if shape else images, labels.astype(np.int64))


def _download(name: str, data_dir) -> Path | None:
    import logging

    import tensorflow_datasets as tfds

    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of each try; the last one's error is told below
    try:
        builder = tfds.builder(name, data_dir=data_directory(data_dir), try_gcs=False)
        _require_answer(next(iter(builder.url_infos)))
        builder.download_and_prepare()
    except Exception as error:  # what a broken network raises is no small set
        said = str(error) if isinstance(error, BlitzError) else (str(error).splitlines() or [type(error).__name__])[0]
        raise BlitzError(
            f"{name} cannot be downloaded: {said[:200]}; download it elsewhere with torchvision and run python"
            f" scripts/prepare_data.py FOLDER --name {name}, or leave out --download to train on the package's sample"
        ) from error
    return Path(builder.data_dir)


def _require_answer(url: str) -> None:
    """Ask a server for a file's header, once: of a server that is not reached, tensorflow-datasets asks eleven times.

    Raises:
        BlitzError: it does not answer in time, or only with an error of its own.
    """
    import requests  # with which tensorflow-datasets downloads

    host = urlsplit(url).hostname
    try:
        status = requests.head(url, timeout=CONNECT_SECONDS, allow_redirects=True).status_code
    except requests.Timeout:
        raise BlitzError(f"{host} does not answer within {CONNECT_SECONDS} s") from None
    except requests.RequestException as error:
        raise BlitzError(f"{host} cannot be reached ({_cause(error)})") from None
    if status >= 500:
        raise BlitzError(f"{host} answers with HTTP status {status}")


def _cause(error: BaseException) -> str:
    """Return the innermost reason in an error of requests, without the addresses of objects around it."""
    while error.args and isinstance(inner := getattr(error.args[0], "reason", error.args[0]), BaseException):
        error = inner
    return str(error).rpartition(": ")[2] or type(error).__name__


def _read(name: str, directory: Path) -> ImageData:
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder_from_directory(directory)
        train, test = (_split(builder, split) for split in ("train", "test"))
        names = tuple(builder.info.features["label"].names)
    except BlitzError:
        raise
    except Exception as error:  # a damaged directory raises whatever its damaged part does
        if "different shapes" in str(error):
            raise BlitzError(f"{directory}: its images are of different sizes; read it with tfds.load") from None
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise BlitzError(f"{directory}: damaged, remove it and prepare it again ({said[:200]})") from error
    return ImageData(name, train, test, KNOWN[name].classes if name in KNOWN else names, str(directory))


def _split(builder, split: str) -> Split:
    expected = builder.info.splits[split].num_examples
    images, labels, order = [], [], []
    # In batches: a call for each of 60,000 images would take a minute.
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    for batch in dataset.batch(1000).as_numpy_iterator():
        images.append(batch["image"])
        labels.append(batch["label"])
        order.extend(batch.get("id", ()))
    found = Split(np.concatenate(images), np.concatenate(labels).astype(np.int64))
    if len(found) != expected:
        raise BlitzError(f"{builder.data_dir}: {len(found)} examples of {split}, not {expected}; prepare it again")
    if order:  # CIFAR-10's examples are numbered in the order of PyTorch's files
        numbered = np.argsort(np.array(order))
        return Split(found.images[numbered], found.labels[numbered])
    return found
