"""Data sets prepared from small files in PyTorch's formats, and what is refused."""

import gzip
import pickle
import re
import resource
import socket
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from keras_blitz.data import datasets, find_prepared, load, load_or_sample, prepare
from keras_blitz.errors import BlitzError

SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare_data.py"


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_mnist(root: Path, folder: str = "MNIST", zipped: bool = True) -> dict:
    raw, rng = root / folder / "raw", np.random.RandomState(0)
    raw.mkdir(parents=True)
    arrays = {}
    for stem, count in (("train", 30), ("t10k", 12)):
        images, labels = rng.randint(0, 256, (count, 28, 28), np.uint8), rng.randint(0, 10, count).astype(np.uint8)
        arrays[stem] = images, labels
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            path = raw / f"{stem}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return arrays


def write_cifar(root: Path) -> np.ndarray:
    folder, rng = root / "cifar-10-batches-py", np.random.RandomState(1)
    folder.mkdir(parents=True)
    data = rng.randint(0, 256, (6, 3, 3072), np.uint8)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        batch = {b"data": data[number], b"labels": [number, 0, 9]}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    return data


def write_images(root: Path, size: int = 20) -> None:
    import tensorflow as tf

    for split in ("train", "test"):
        for label, name in enumerate(("ants", "bees")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                pixels = np.full((size, size + 4, 3), 100 * label + number, np.uint8)
                (folder / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())


@pytest.mark.covers("D2")
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_read_back_in_its_own_order(tmp_path, zipped):
    arrays = write_mnist(tmp_path, zipped=zipped)
    prepare(tmp_path, data_dir=tmp_path / "tfds")
    data = load("mnist", tmp_path / "tfds")
    for split, stem in ((data.train, "train"), (data.test, "t10k")):
        np.testing.assert_array_equal(split.images[..., 0], arrays[stem][0])
        np.testing.assert_array_equal(split.labels, arrays[stem][1])
    assert not data.is_sample


@pytest.mark.covers("D1")
def test_tfds_itself_reads_it(tmp_path):
    import tensorflow_datasets as tfds

    write_mnist(tmp_path, "FashionMNIST")
    written = prepare(tmp_path, data_dir=tmp_path / "tfds")
    assert written == tmp_path / "tfds" / "fashion_mnist" / "3.0.1"
    train, info = tfds.load("fashion_mnist", split="train", data_dir=tmp_path / "tfds", with_info=True, download=False)
    assert len(train) == 30
    assert info.features["label"].names[9] == "Ankle boot"


@pytest.mark.torch
def test_order_is_torchvisions(tmp_path):
    from parity.twins.torch.families import define_missing_operators

    define_missing_operators()
    import torchvision

    write_mnist(tmp_path, zipped=False)
    prepare(tmp_path, data_dir=tmp_path / "tfds")
    data = load("mnist", tmp_path / "tfds")
    expected = torchvision.datasets.MNIST(tmp_path)
    np.testing.assert_array_equal(data.train.images[..., 0], expected.data.numpy())
    np.testing.assert_array_equal(data.train.labels, expected.targets.numpy())


@pytest.mark.covers("D2")
def test_cifar_is_read_back(tmp_path):
    data = write_cifar(tmp_path)
    prepare(tmp_path, data_dir=tmp_path / "tfds")
    found = load("cifar10", tmp_path / "tfds")
    np.testing.assert_array_equal(found.train.images.transpose(0, 3, 1, 2).reshape(15, 3072), data[:5].reshape(15, -1))
    np.testing.assert_array_equal(found.test.labels, [5, 0, 9])
    assert found.classes[0] == "plane"


def test_cifar_that_would_run_something_is_refused(tmp_path):
    write_cifar(tmp_path)

    class Evil:
        def __reduce__(self):
            return (print, ("run!",))

    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(BlitzError, match="asks for"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")


@pytest.mark.covers("D2")
@pytest.mark.parametrize("zipped", [False, True])
def test_folders_of_images(tmp_path, zipped):
    source = tmp_path / "images"
    write_images(source)
    if zipped:
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            for path in sorted(source.rglob("*.png"), reverse=True):
                archive.write(path, path.relative_to(tmp_path))
        source = tmp_path / "images.zip"
    prepare(source, "insects", tmp_path / "tfds")
    data = load("insects", tmp_path / "tfds")
    assert data.classes == ("ants", "bees")
    np.testing.assert_array_equal(data.test.images[:, 0, 0, 0], [0, 1, 2, 100, 101, 102])
    np.testing.assert_array_equal(data.test.labels, [0, 0, 0, 1, 1, 1])


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_file_is_refused_and_nothing_is_left(tmp_path, zipped):
    write_mnist(tmp_path, zipped=zipped)
    damage(next((tmp_path / "MNIST" / "raw").glob("t10k-images*")))
    with pytest.raises(BlitzError, match="truncated"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")
    assert list((tmp_path / "tfds").iterdir()) == []


def test_wrong_files_are_refused(tmp_path):
    write_mnist(tmp_path, zipped=False)
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte").write_bytes((raw / "train-labels-idx1-ubyte").read_bytes())
    with pytest.raises(BlitzError, match="no idx file of images"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")
    (raw / "train-images-idx3-ubyte").unlink()
    with pytest.raises(BlitzError, match="train-images-idx3-ubyte is missing"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")
    write_cifar(tmp_path)
    damage(tmp_path / "cifar-10-batches-py" / "data_batch_3")
    with pytest.raises(BlitzError, match=r"data_batch_3: truncated"):
        prepare(tmp_path, "cifar10", tmp_path / "tfds")
    assert find_prepared("cifar10", tmp_path / "tfds") is None


@pytest.mark.parametrize("name", ["../../evil", "a b/c", "", "a/b", ".", "..", "-x", "1st", "Ants", "a\nb", "/tmp/x"])
def test_a_name_that_would_leave_the_folder_or_is_none_is_refused(tmp_path, name):
    with pytest.raises(BlitzError, match=f"--name {re.escape(ascii(name))}: .*lower-case letters, digits and _"):
        prepare(tmp_path / "images", name, tmp_path / "deep" / "tfds")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path):
    write_mnist(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
    try:
        with pytest.raises(BlitzError, match=rf"{tmp_path / 'tfds'}: cannot be written, ") as caught:
            prepare(tmp_path, data_dir=tmp_path / "tfds")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "tfds").iterdir()) == []


def test_a_file_for_the_folder_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for read in (load, load_or_sample):
        with pytest.raises(BlitzError, match="file: is a file; give the folder of tensorflow-datasets"):
            read("mnist", tmp_path / "file")


def test_several_data_sets_need_a_name(tmp_path):
    write_mnist(tmp_path)
    write_cifar(tmp_path)
    with pytest.raises(BlitzError, match="has mnist, cifar10; choose one with --name"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")


def test_second_time_needs_overwrite(tmp_path):
    write_mnist(tmp_path)
    prepare(tmp_path, data_dir=tmp_path / "tfds")
    with pytest.raises(BlitzError, match="exists already"):
        prepare(tmp_path, data_dir=tmp_path / "tfds")
    prepare(tmp_path, data_dir=tmp_path / "tfds", overwrite=True)
    assert len(load("mnist", tmp_path / "tfds").train) == 30


def test_damaged_prepared_data_is_named(tmp_path):
    write_mnist(tmp_path)
    damage(next(prepare(tmp_path, data_dir=tmp_path / "tfds").glob("*train*")))
    with pytest.raises(BlitzError, match="prepare it again"):
        load("mnist", tmp_path / "tfds")


@pytest.mark.covers("D1")
def test_missing_data_names_the_place_and_the_command(tmp_path):
    with pytest.raises(BlitzError) as raised:
        load("mnist", tmp_path)
    assert str(tmp_path) in str(raised.value)
    assert "scripts/prepare_data.py FOLDER --name mnist" in str(raised.value)


@pytest.mark.covers("D3")
def test_sample_stands_in(tmp_path):
    data = load_or_sample("cifar10", tmp_path, shape=(32, 32, 3))
    assert data.is_sample
    assert data.train.images.shape == (2000, 32, 32, 3)
    assert data.classes[9] == "Ankle boot"


def test_script_says_one_line(tmp_path):
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("prepare_data: error: ")
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(datasets, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(BlitzError, match=r"^127\.0\.0\.1 does not answer within 0\.1 s$"):
            datasets._require_answer(f"http://127.0.0.1:{port}/mnist.gz")
    with pytest.raises(BlitzError, match=r"^127\.0\.0\.1 cannot be reached \(.*Connection refused\)$"):
        datasets._require_answer(f"http://127.0.0.1:{port}/mnist.gz")


def test_a_download_without_a_network_names_two_ways_out(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "_require_answer", lambda url: (_ for _ in ()).throw(BlitzError(f"no way to {url}")))
    with pytest.raises(
        BlitzError, match=r"no way to https://\S+; .*prepare_data\.py FOLDER --name mnist, or leave out"
    ):
        load("mnist", tmp_path, download=True)
    assert not list(tmp_path.rglob("*.gz"))
