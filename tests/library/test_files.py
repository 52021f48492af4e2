import pytest

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path


def test_writes_whole(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
        assert temporary.name.endswith("a.txt")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_leaves_what_was_there_after_an_error(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(BlitzError, match=r"a\.txt: cannot be written \(No space left on device\)"), \
            atomic_path(tmp_path / "a.txt"):  # fmt: skip
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_and_folder_as_file(tmp_path):
    with pytest.raises(BlitzError, match=r"the folder .*no does not exist"), atomic_path(tmp_path / "no" / "a"):
        pass
    with pytest.raises(BlitzError, match="is a folder"), atomic_path(tmp_path):
        pass


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "target.txt")
    with atomic_path(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_text() == "new"


def test_what_is_no_ordinary_file_is_refused():
    with pytest.raises(BlitzError, match="/dev/null: is not an ordinary file"), atomic_path("/dev/null"):
        pass
