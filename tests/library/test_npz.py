"""Archives are looked at before they are unpacked."""

import io
import zipfile

import numpy as np
import pytest

from keras_blitz.npz import check_members

ARRAYS = {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.array("text"), "c": np.zeros(())}


def archive(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file


def test_shapes_and_types_are_told_and_the_file_is_read_afterwards():
    file = io.BytesIO()
    np.savez(file, **ARRAYS)
    assert check_members(file) == {name: (array.shape, array.dtype) for name, array in ARRAYS.items()}
    with np.load(file) as found:
        assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())


def test_more_than_is_allowed_is_refused_unread():
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(1 << 20))
    assert len(file.getvalue()) < 20_000
    check_members(file, (1 << 23) + 128)
    with pytest.raises(ValueError, match=r"unpacks to 8,388,736 bytes, more than the 8,388,608 that are allowed"):
        check_members(file, 1 << 23)


@pytest.mark.parametrize("content", [bytes(1 << 20), np.lib.format.magic(1, 0), b""])
def test_what_is_not_an_array_is_refused_by_its_first_bytes(content):
    with pytest.raises(ValueError):  # noqa: PT011 (NumPy's own words)
        check_members(archive({"trace.npy": content}))


def test_a_header_of_another_size_than_its_member_is_refused():
    whole = io.BytesIO()
    np.save(whole, np.zeros(4))
    for content in (whole.getvalue()[:-1], whole.getvalue() + b"x"):
        with pytest.raises(ValueError, match=r"a\.npy has another size than its header says"):
            check_members(archive({"a.npy": content}))
