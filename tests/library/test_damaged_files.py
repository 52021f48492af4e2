"""Checkpoints and data files, damaged as hypothesis thinks up: their content, or one line that names the file."""

import gzip
import io
import json
import pickle
import resource
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_blitz.convert import convert
from keras_blitz.data import prepare
from keras_blitz.data.prepare import find, read_idx
from keras_blitz.errors import BlitzError
from keras_blitz.models import build
from keras_blitz.weights import load_checkpoint
from keras_blitz.weights.checkpoint import read_state, write_model, write_state

pytestmark = pytest.mark.covers("W2")

STATE = {
    "fc.weight": np.arange(12, dtype="float32").reshape(3, 4),
    "fc.bias": np.ones(3),
    "steps": np.array(7, dtype="int64"),
}
EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
torch_only = pytest.mark.torch


@st.composite
def damages(draw):
    """Return a function that damages bytes: flips, cuts, splices, other numbers, a shorter file, or another one."""
    kinds = st.sampled_from(["byte", "cut", "insert", "copy", "number"])
    places = st.floats(0, 1) | st.floats(0, 0.002) | st.floats(0.998, 1)  # headers are at the ends
    step = st.tuples(kinds, places, places, st.binary(min_size=1, max_size=8))
    steps = draw(st.lists(step, min_size=1, max_size=4))
    kept = draw(st.sampled_from([1.0, 1.0, 1.0, 0.99, 0.5, 0.1, 0.0]))
    number = draw(st.sampled_from([10**15, 2**64 - 1, 2**31 - 1, 0])).to_bytes(8, "little")

    def damage(content: bytes) -> bytes:
        for kind, at, other, new in steps:
            here, there = int(at * len(content)), int(other * len(content))
            if kind == "byte":
                content = content[:here] + new[:1] + content[here + 1 :]
            elif kind == "cut":
                content = content[:here] + content[here + len(new) :]
            elif kind == "insert":
                content = content[:here] + new + content[here:]
            elif kind == "copy":
                content = content[:here] + content[there : there + 12] + content[here + 12 :]
            else:
                content = content[:here] + number + content[here + 8 :]
        return content[: int(kept * len(content))]

    return damage


def within(content: bytes, damage, member: int) -> bytes:
    """Damage a member of a zip archive and pack it again, with the right checksums."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(packed, "w") as new:
        names = old.namelist()
        for name in names:
            data = old.read(name)
            new.writestr(zipfile.ZipInfo(name), damage(data) if name == names[member % len(names)] else data)
    return packed.getvalue()


def one_line(path, function, *arguments) -> str:
    """Return what a reader says: "" if it reads; no other error than a BlitzError of one line that names the file."""
    try:
        function(*arguments)
    except BlitzError as error:
        said = str(error)
        assert path.name in said
        assert said.isprintable()
        return said
    return ""


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    write_state(STATE, folder / "a.safetensors")
    return folder


@EXAMPLES
@given(damage=damages())
def test_safetensors(checkpoints, damage):
    path = checkpoints / "damaged.safetensors"
    path.write_bytes(damage((checkpoints / "a.safetensors").read_bytes()))
    one_line(path, read_state, path)


@torch_only
@EXAMPLES
@given(damage=damages(), member=st.integers(-1, 8))
def test_pth(checkpoints, damage, member):
    if not (checkpoints / "a.pth").exists():
        write_state(STATE, checkpoints / "a.pth")
    content, path = (checkpoints / "a.pth").read_bytes(), checkpoints / "damaged.pth"
    path.write_bytes(damage(content) if member < 0 else within(content, damage, member))
    one_line(path, read_state, path)


@torch_only
@EXAMPLES
@given(damage=damages())
def test_pth_from_before_pytorch_1_6(checkpoints, damage):
    import torch

    if not (checkpoints / "old.pt").exists():
        state = {name: torch.from_numpy(array) for name, array in STATE.items()}
        torch.save(state, checkpoints / "old.pt", _use_new_zipfile_serialization=False)
    path = checkpoints / "damaged.pt"
    path.write_bytes(damage((checkpoints / "old.pt").read_bytes()))
    one_line(path, read_state, path)


def flipped(path, entry: str) -> None:
    """Flip a byte in the middle of an entry of a zip archive."""
    with zipfile.ZipFile(path) as archive:
        found = next(info for info in archive.infolist() if info.filename.endswith(entry))
    content = bytearray(path.read_bytes())
    name, extra = struct.unpack("<2H", content[found.header_offset + 26 : found.header_offset + 30])
    content[found.header_offset + 30 + name + extra + found.compress_size // 2] ^= 0xFF
    path.write_bytes(content)


@torch_only
def test_flipped_weights_in_a_pth_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    write_state(STATE, path)
    assert np.array_equal(read_state(path)["fc.weight"], STATE["fc.weight"])
    flipped(path, "data/0")
    with pytest.raises(BlitzError, match=r"a\.pth: damaged: the CRC-32 .*data/0 does not match; copy or download"):
        read_state(path)


@torch_only
def test_pth_written_without_checksums_is_read(tmp_path):
    import torch

    path = tmp_path / "a.pth"
    torch.serialization.set_crc32_options(False)
    try:
        write_state(STATE, path)
    finally:
        torch.serialization.set_crc32_options(True)
    assert np.array_equal(read_state(path)["fc.weight"], STATE["fc.weight"])


def test_flipped_weights_in_a_keras_file_are_refused(tmp_path):
    path = tmp_path / "a.keras"
    write_model(build("lenet"), path)
    convert(path, tmp_path / "right.safetensors", "lenet")
    flipped(path, "model.weights.h5")
    assert "CRC-32" in one_line(path, convert, path, tmp_path / "wrong.safetensors", "lenet")
    assert not (tmp_path / "wrong.safetensors").exists()


def test_numpy_refuses_an_archive_with_flipped_bytes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, **STATE)
    flipped(path, "fc.weight.npy")
    with pytest.raises(zipfile.BadZipFile, match="CRC-32"), np.load(path, allow_pickle=False) as archive:
        dict(archive)


@pytest.mark.parametrize("kind", [".keras", ".weights.h5"])
@settings(EXAMPLES, max_examples=40)
@given(damage=damages(), member=st.integers(-1, 2))
def test_keras_files(checkpoints, kind, damage, member):
    if not (checkpoints / f"a{kind}").exists():
        write_model(build("lenet"), checkpoints / f"a{kind}")
    content, path = (checkpoints / f"a{kind}").read_bytes(), checkpoints / f"damaged{kind}"
    inside = kind == ".keras" and member >= 0
    path.write_bytes(within(content, damage, member) if inside else damage(content))
    one_line(path, convert, path, checkpoints / "o.safetensors", "lenet")


@pytest.mark.parametrize("kind", [".safetensors", pytest.param(".pth", marks=torch_only)])
@EXAMPLES
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_checkpoint(tmp_path, kind, content):
    path = tmp_path / f"any{kind}"
    path.write_bytes(content)
    assert one_line(path, read_state, path) != ""


def test_a_header_that_promises_more_than_there_is(tmp_path):
    """8 bytes of length, then the header; a reader that believed it would ask for 8 exabytes."""
    path = tmp_path / "large.safetensors"
    path.write_bytes((1 << 63).to_bytes(8, "little") + b"{}")
    assert one_line(path, read_state, path) != ""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 50], "data_offsets": [0, 1 << 52]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    assert one_line(path, read_state, path) != ""


def safetensors(path, dtype: str, data: bytes, name: str = "w"):
    header = json.dumps({name: {"dtype": dtype, "shape": [1], "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def test_bfloat16_is_read_as_float32_and_float8_is_named(tmp_path):
    read = read_state(safetensors(tmp_path / "a.safetensors", "BF16", b"\xc0\x3f"))
    assert (read["w"].dtype, read["w"].tolist()) == ("float32", [1.5])
    assert "float8_e4m3fn" in one_line(
        tmp_path / "b.safetensors", read_state, safetensors(tmp_path / "b.safetensors", "F8_E4M3", b"\0")
    )


def test_a_name_of_several_lines_is_printed_in_one(tmp_path):
    path = safetensors(tmp_path / "a.safetensors", "F32", bytes(4), "fc\n.weight")
    assert r"surplus: fc\n.weight" in one_line(path, load_checkpoint, build("lenet"), path)


@torch_only
def test_dictionaries_that_hold_each_other_and_many_keys(tmp_path):
    import torch

    state = {"state_dict": {"model": {}}}
    state["state_dict"]["model"]["state_dict"] = state
    torch.save(state, tmp_path / "a.pth")
    assert "hold each other" in one_line(tmp_path / "a.pth", read_state, tmp_path / "a.pth")
    torch.save({f"{n}\n": 1 for n in range(5000)}, tmp_path / "b.pth")
    said = one_line(tmp_path / "b.pth", read_state, tmp_path / "b.pth")
    assert said.endswith("and 4980 more")


@torch_only
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_four_bytes_that_say_they_are_terabytes(tmp_path, dtype):
    import torch

    torch.save({"w": torch.zeros(1, dtype=getattr(torch, dtype)).expand(10**10)}, tmp_path / "a.pth")
    assert "the file has fewer values" in one_line(tmp_path / "a.pth", read_state, tmp_path / "a.pth")


def test_weights_h5_that_says_it_is_gigabytes(tmp_path):
    import h5py

    path = tmp_path / "a.weights.h5"
    write_model(build("lenet"), path)
    with h5py.File(path, "a") as file:
        found = []
        file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        del file[found[0]]
        file.create_dataset(found[0], (10**9,), "float32", chunks=(1000,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "has 1,000,000,000 values" in one_line(path, convert, path, tmp_path / "o.safetensors", "lenet")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


IDX = bytes((0, 0, 8, 3)) + struct.pack(">3I", 2, 3, 4) + bytes(range(24))


@EXAMPLES
@given(damage=damages(), zipped=st.sampled_from(["", "before", "after"]))
def test_idx(tmp_path, damage, zipped):
    """Damaged before or after it was compressed."""
    path = tmp_path / ("a-ubyte.gz" if zipped else "a-ubyte")
    content = gzip.compress(damage(IDX)) if zipped == "before" else damage(gzip.compress(IDX) if zipped else IDX)
    path.write_bytes(content)
    one_line(path, read_idx, path, 3)


def test_idx_that_never_ends_is_not_read_whole(tmp_path):
    path = tmp_path / "a-ubyte.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes((0, 0, 8, 1)) + struct.pack(">I", 5))
        for _ in range(20):
            file.write(bytes(50_000_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "truncated or too long: 6 values" in one_line(path, read_idx, path, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def read_cifar(folder):
    return list(find(folder, "cifar10").read("test"))


BATCH = pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": [3, 9]}, protocol=2)


@EXAMPLES
@given(damage=damages(), at_the_end=st.booleans())
def test_cifar(tmp_path, damage, at_the_end):
    """Damaged anywhere, or beside the long row of pixels."""
    cut = len(BATCH) - 60
    path = tmp_path / "test_batch"
    path.write_bytes(BATCH[:cut] + damage(BATCH[cut:]) if at_the_end else damage(BATCH[:160]) + BATCH[160:])
    one_line(path, read_cifar, tmp_path)


@pytest.mark.parametrize("labels", [3, ["a", None], [1.5, 2.0], [[1], [2]], [-1, 0], [10, 0]])
def test_labels_that_are_none(tmp_path, labels):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps({b"data": np.zeros((2, 3072), np.uint8), b"labels": labels}, protocol=2))
    assert "label" in one_line(path, read_cifar, tmp_path)


def test_a_pickle_that_wants_a_memo_of_gigabytes(tmp_path):
    path = tmp_path / "test_batch"
    path.write_bytes(b"\x80\x02Nr\xff\xff\xff\x1f.")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "not a batch of CIFAR-10" in one_line(path, read_cifar, tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def images() -> bytes:
    import tensorflow as tf

    packed, pixels = io.BytesIO(), np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("train/ants/0.png", tf.io.encode_png(pixels).numpy())
        archive.writestr("train/bees/0.jpg", tf.io.encode_jpeg(pixels).numpy())
    return packed.getvalue()


IMAGES = images()


@EXAMPLES
@given(damage=damages(), member=st.integers(-1, 1))
def test_zip_of_images(tmp_path, damage, member):
    path = tmp_path / "a.zip"
    path.write_bytes(damage(IMAGES) if member < 0 else within(IMAGES, damage, member))
    try:
        list(find(path, "mine").read("train"))
    except BlitzError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(("place", "value"), [(0, b"XX"), (6, b"\xff"), (8, b"\x01"), (10, b"\x63")])
def test_zip_with_a_foreign_directory(tmp_path, place, value):
    """No directory, a later version, encrypted, another compression."""
    start = IMAGES.index(b"PK\1\2") + place
    path = tmp_path / "a.zip"
    path.write_bytes(IMAGES[:start] + value + IMAGES[start + len(value) :])
    assert one_line(path, prepare, path, "mine", tmp_path / "data") != ""
    assert not [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
