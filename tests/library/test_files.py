import os

import pytest

from keras_blitz.errors import BlitzError
from keras_blitz.files import atomic_path, check_source, check_target, expand, explain_writing, make_folder


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


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(BlitzError, match=r"pipe\.npz: is not an ordinary file"):
        check_source(tmp_path / "pipe.npz")
    with pytest.raises(BlitzError, match="is a folder, not a file"):
        check_source(tmp_path)
    with pytest.raises(BlitzError, match="nothing yet"):
        check_source(tmp_path / "none", "nothing yet")
    (tmp_path / "a.npz").touch()
    assert check_source(tmp_path / "a.npz") == tmp_path / "a.npz"


def test_a_folder_is_made_with_those_above_it_or_the_reason_is_said(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert list(make_folder(tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(BlitzError, match="file: is a file; give the name of a folder"):
        make_folder(tmp_path / "file")
    with pytest.raises(BlitzError, match=r"file/below: files cannot be written there \(Not a directory\)"):
        make_folder(tmp_path / "file" / "below")
    with pytest.raises(BlitzError, match=r"file is a file, not a folder"):
        check_target(tmp_path / "file" / "x.keras")


def test_a_home_that_there_is_not_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand("~/a") == tmp_path / "a"
    with pytest.raises(BlitzError, match="~nobody-of-this-name/a: Could not determine home directory"):
        expand("~nobody-of-this-name/a")


def test_errors_of_writing_name_the_folder_and_others_pass(tmp_path):
    import tensorflow as tf

    full = tf.errors.ResourceExhaustedError(None, None, f"{'long/' * 50}x.v2; No space left on device\n\t[[Op]]")
    for error in (OSError(28, "No space left on device"), full):
        with (
            pytest.raises(BlitzError, match=rf"{tmp_path}: cannot be written, No space left"),
            explain_writing(tmp_path),
        ):
            raise error
    with pytest.raises(BlitzError, match=r"^a\.png: Permission denied$"), explain_writing(tmp_path):
        raise PermissionError(13, "Permission denied", "a.png")
    with pytest.raises(ZeroDivisionError), explain_writing(tmp_path):
        raise ZeroDivisionError
