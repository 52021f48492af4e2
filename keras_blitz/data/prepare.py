"""What a PyTorch user has already, written into the tensorflow-datasets directory: `tfds.load` reads it offline.

MNIST/raw/*-ubyte[.gz]    FashionMNIST/raw/*-ubyte[.gz]    cifar-10-batches-py/
a folder or zip of class-named folders of images, in train/ and test/ or in train.zip and test.zip
"""

import gzip
import io
import math
import os
import pickle
import re
import shutil
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from keras_blitz.data.datasets import KNOWN, data_directory, find_prepared
from keras_blitz.errors import BlitzError
from keras_blitz.files import expand, explain_writing, make_folder

SPLITS = ("train", "test")
LARGEST = 1 << 30  # bytes of an idx file that are read; MNIST's has 47 million
ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

_NAME = re.compile(r"[a-z][a-z0-9_]*")  # it becomes the name of a folder, and of tensorflow-datasets' builder
_IDX = {"train": "train", "test": "t10k"}
_IDX_FOLDERS = {"MNIST": "mnist", "FashionMNIST": "fashion_mnist"}
_CIFAR_FILES = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_CIFAR_FOLDERS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Found:
    """A source that was recognised: the data set's name, what it is, and how each split's examples are read."""

    name: str
    shape: tuple[int | None, int | None, int]
    classes: tuple[str, ...]
    read: Callable[[str], Iterator[tuple[object, int]]]
    splits: tuple[str, ...] = SPLITS


def prepare(
    source: str | os.PathLike[str],
    name: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[str, int], None] = lambda split, count: None,
) -> Path:
    """Write a data set in PyTorch's order into the tensorflow-datasets directory, whole or not at all.

    Args:
        source: the folder PyTorch's data sets were downloaded to (or the data set's own below it), or a folder or zip
            of images in class-named folders.
        name: of the data set; None: what the source is. Needed where several are in the folder, for a folder of idx
            files that is called neither MNIST nor FashionMNIST, and for images.
        data_dir: the tensorflow-datasets directory; None: see `data_directory`.
        overwrite: replace what was prepared before.
        progress: called with the split and the number of examples written so far.

    Returns:
        The directory written.

    Raises:
        BlitzError: nothing is found, the name is not one, a file is missing, truncated or of another kind, it is
            prepared already, or cannot be written; nothing is left then.
    """
    if name is not None and not _NAME.fullmatch(name):
        raise BlitzError(f"--name {name!r}: a name must be lower-case letters, digits and _, and begin with a letter")
    found = find(expand(source), name)
    root = data_directory(data_dir)
    before = find_prepared(found.name, root)
    if before and not overwrite:
        raise BlitzError(f"{before}: exists already; --overwrite replaces it")
    temporary = Path(tempfile.mkdtemp(prefix=".tmp-", dir=make_folder(root)))
    try:
        with explain_writing(root):
            written = _write(found, temporary, progress)
            target = root / written.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                target.rename(temporary / "replaced")
            written.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _write(found: Found, directory: Path, progress: Callable[[str, int], None]) -> Path:
    import tensorflow_datasets as tfds

    known = found.name in KNOWN
    version = KNOWN[found.name].version if known else "1.0.0"
    # tensorflow-datasets' own names of the classes, where it has a builder; the lessons print the tutorials'.
    features = {"image": tfds.features.Image(shape=found.shape), "label": tfds.features.ClassLabel(names=found.classes)}
    if found.name == "cifar10":
        features["id"] = tfds.features.Text()
    tfds.disable_progress_bar()

    def examples(split: str) -> Iterator[tuple[int, dict]]:
        count = 0
        for number, (image, label) in enumerate(found.read(split)):
            example = {"image": image, "label": label}
            yield number, example | ({"id": f"{split}_{number:05d}"} if "id" in features else {})
            count = number + 1
            if count % 1000 == 0:
                progress(split, count)
        if not count:
            raise BlitzError(f"{found.name}: no examples in {split}")
        progress(split, count)

    with redirect_stdout(io.StringIO()):  # it says "Downloading", which it does not
        builder = tfds.dataset_builders.store_as_tfds_dataset(
            name=found.name, version=version, features=tfds.features.FeaturesDict(features), data_dir=directory,
            split_datasets={split: examples(split) for split in found.splits},
            description="Prepared by keras_blitz, in the order of PyTorch's files.", disable_shuffling=True,
        )  # fmt: skip
    return Path(builder.data_dir)


def find(source: Path, name: str | None = None) -> Found:
    """Recognise what is at `source`.

    Raises:
        BlitzError: nothing that can be prepared, or several data sets and no name.
    """
    if not source.exists():
        raise BlitzError(f"{source}: does not exist; give the folder that contains PyTorch's data sets")
    found = [*_find_idx(source, name), *_find_cifar(source), *_find_images(source, name)]
    named = [each for each in found if name in (None, each.name)]
    if not named:
        looked = "MNIST/raw, FashionMNIST/raw, cifar-10-batches-py, class-named folders of images, train.zip"
        raise BlitzError(f"{source}: no {name or 'data set'} here; looked for {looked}")
    if len(named) > 1:
        raise BlitzError(f"{source}: has {', '.join(each.name for each in named)}; choose one with --name")
    return named[0]


# MNIST's format


def _find_idx(source: Path, name: str | None) -> Iterator[Found]:
    folders = [source, source / "raw", *(source / folder / "raw" for folder in _IDX_FOLDERS)]
    for folder in folders:
        if not _idx_files(folder):
            continue
        own = next((_IDX_FOLDERS[part] for part in (folder.name, folder.parent.name) if part in _IDX_FOLDERS), name)
        if own is None or own not in _IDX_FOLDERS.values():
            raise BlitzError(f"{folder}: may be MNIST or Fashion-MNIST; add --name mnist or --name fashion_mnist")
        row = KNOWN[own]
        yield Found(own, row.shape, row.classes, partial(_read_mnist, folder))


def _idx_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*-ubyte*")) if folder.is_dir() else []


def _read_mnist(folder: Path, split: str) -> Iterator[tuple[np.ndarray, int]]:
    images = read_idx(_idx_path(folder, f"{_IDX[split]}-images-idx3-ubyte"), 3)
    labels = read_idx(_idx_path(folder, f"{_IDX[split]}-labels-idx1-ubyte"), 1)
    if images.shape[1:] != (28, 28):
        raise BlitzError(f"{folder}: images of {images.shape[1:]} pixels, expected 28×28")
    yield from _pairs(folder, images[..., np.newaxis], labels)


def _idx_path(folder: Path, stem: str) -> Path:
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.is_file():
            return path
    raise BlitzError(f"{folder}: {stem} is missing, with or without .gz")


def read_idx(path: Path, rank: int) -> np.ndarray:
    """Read an idx file of bytes, plain or .gz: a big-endian header (0, 0, 8, rank, sizes), then the values.

    Raises:
        BlitzError: it is truncated, of another kind or rank, or longer than its header says.
    """
    zipped = path.suffix == ".gz"
    try:
        with (gzip.open if zipped else open)(path, "rb") as file:
            header = file.read(4 + 4 * rank)
            if header[:4] != bytes((0, 0, 8, rank)) or len(header) < 4 + 4 * rank:
                raise BlitzError(f"{path}: no idx file of {'images' if rank == 3 else 'labels'}")
            sizes = struct.unpack(f">{rank}I", header[4:])
            # One byte too many would be seen. Neither the header nor the file decides how much memory that takes.
            data = file.read(min(math.prod(sizes), LARGEST) + 1)
    except (OSError, EOFError, zlib.error) as error:
        problem = "truncated, or no gzip file" if zipped else "cannot be read"
        raise BlitzError(f"{path}: {problem} ({error})") from error
    if len(data) != math.prod(sizes):
        at_least = "over " if len(data) > LARGEST else ""
        raise BlitzError(f"{path}: truncated or too long: {at_least}{len(data)} values, its header says {sizes}")
    return np.frombuffer(data, np.uint8).reshape(sizes)


def _pairs(where: Path, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    if len(images) != len(labels):
        raise BlitzError(f"{where}: {len(images)} images, but {len(labels)} labels")
    outside = labels[(labels < 0) | (labels > 9)]
    if len(outside):
        raise BlitzError(f"{where}: a label {outside[0]}; they must be 0–9")
    yield from zip(images, map(int, labels), strict=True)


# CIFAR-10's format


def _find_cifar(source: Path) -> Iterator[Found]:
    for folder in (source, source / "cifar-10-batches-py"):
        if any((folder / file).is_file() for files in _CIFAR_FILES.values() for file in files):
            yield Found("cifar10", (32, 32, 3), _CIFAR_FOLDERS, partial(_read_cifar, folder))
            return


def _read_cifar(folder: Path, split: str) -> Iterator[tuple[np.ndarray, int]]:
    for file in _CIFAR_FILES[split]:
        path = folder / file
        if not path.is_file():
            raise BlitzError(f"{path}: is missing")
        try:
            batch = _Unpickler(io.BytesIO(path.read_bytes()), encoding="bytes").load()
            data, labels = np.asarray(batch[b"data"]), np.asarray(batch[b"labels"])
        except BlitzError as error:
            raise BlitzError(f"{path}: {error}") from None
        except Exception as error:  # a damaged pickle raises anything
            raise BlitzError(f"{path}: truncated, or not a batch of CIFAR-10 ({type(error).__name__})") from error
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise BlitzError(f"{path}: data {data.dtype} {data.shape}, expected uint8 (N, 3072)")
        if labels.dtype.kind not in "iu" or labels.ndim != 1:
            raise BlitzError(f"{path}: labels {labels.dtype} {labels.shape}, expected integers (N,)")
        yield from _pairs(path, data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels)


class _Unpickler(pickle._Unpickler):
    """Loads arrays and nothing that could run: a pickle may call whatever it names.

    Python's own, not C's, whose memo takes as much memory as the file names.
    """

    _ALLOWED = frozenset(
        (f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")
    ) | {("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}  # fmt: skip

    def find_class(self, module, name):
        if (module, name) not in self._ALLOWED:
            raise BlitzError(f"no batch of CIFAR-10: its pickle asks for {module}.{name}, which is not loaded")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


# Images in class-named folders


def _find_images(source: Path, name: str | None) -> Iterator[Found]:
    members = {split: _members(source, split) for split in SPLITS}
    members = {split: found for split, found in members.items() if found}
    if not members and (found := _members(source, None)):
        members = {"train": found}
    if not members:
        return
    classes = tuple(sorted({key.split("/")[-2] for key in members["train" if "train" in members else "test"]}))
    unlike = sorted({key.split("/")[-2] for found in members.values() for key in found} - set(classes))
    if unlike:
        raise BlitzError(f"{source}: class {unlike[0]!r} is in test and not in train")
    is_cifar = classes == _CIFAR_FOLDERS and name in (None, "cifar10")
    if is_cifar:
        name = "cifar10"
    elif name is None:
        raise BlitzError(f"{source}: {len(classes)} classes of images; name the data set with --name")
    elif name in KNOWN:
        raise BlitzError(f"{source}: these classes are not those of {name}")
    shape = (32, 32, 3) if is_cifar else (None, None, 3)

    def read(split: str) -> Iterator[tuple[np.ndarray, int]]:
        # ImageFolder's order: the classes by name, in each the files by name.
        for key in sorted(members[split], key=lambda key: (key.split("/")[-2], key)):
            yield _decode(f"{source}: {key}", members[split][key](), shape), classes.index(key.split("/")[-2])

    yield Found(name, shape, classes, read, tuple(members))


def _members(source: Path, split: str | None) -> dict[str, Callable[[], bytes]]:
    """Return how to read each image, by its path, whose last part but one is the class."""
    folder = source / split if split else source
    if folder.is_dir():
        files = (path for path in folder.glob("*/*") if path.suffix.lower() in ENDINGS and path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes for path in files}
    archive = source if source.is_file() else source / f"{split}.zip"
    if not archive.is_file() or not zipfile.is_zipfile(archive):
        if archive.is_file() and archive.suffix == ".zip":
            raise BlitzError(f"{archive}: truncated, or not a zip file")
        return {}
    try:
        opened = zipfile.ZipFile(archive)
    except Exception as error:  # a damaged directory raises BadZipFile, NotImplementedError, struct.error …
        raise BlitzError(f"{archive}: truncated, or not a zip file ({_describe(error)})") from error
    names = [name for name in opened.namelist() if name.lower().endswith(ENDINGS) and name.count("/")]
    if source.is_file() and split:
        names = [name for name in names if split in name.split("/")[:-2]]
    return {name: partial(_unzip, opened, archive, name) for name in names}


def _unzip(opened: zipfile.ZipFile, archive: Path, name: str) -> bytes:
    try:
        return opened.read(name)
    except Exception as error:  # likewise, and RuntimeError where it is encrypted
        raise BlitzError(f"{archive}: {name!r} is damaged ({_describe(error)})") from error


def _describe(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _decode(key: str, data: bytes, shape: tuple[int | None, int | None, int]) -> np.ndarray:
    """Decode an image to (H, W, 3) uint8 as PIL does: for a JPEG the accurate transform (gap data-jpeg-decode)."""
    import tensorflow as tf

    try:
        if key.lower().endswith((".jpg", ".jpeg")):
            image = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
        else:
            image = tf.io.decode_image(data, channels=3, expand_animations=False).numpy()
    except (tf.errors.OpError, ValueError) as error:
        raise BlitzError(f"{key}: not an image, or truncated") from error
    if shape[0] and image.shape != shape:
        raise BlitzError(f"{key}: {image.shape[0]}×{image.shape[1]} pixels, expected {shape[0]}×{shape[1]}")
    return image
