"""Files and folders: what is asked of them before long work, and writing whole or not at all."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_blitz.errors import BlitzError


def check_source(path: Path, missing: str = "no such file", error: type[BlitzError] = BlitzError) -> Path:
    """Return the path of a file that can be read.

    Args:
        path: of the file.
        missing: what is said where nothing is there.
        error: the kind that is raised.

    Raises:
        BlitzError: nothing is there, or a folder, a pipe, or what may not be read.
    """
    if not path.exists():
        raise error(f"{path}: {missing}")
    if path.is_dir():
        raise error(f"{path}: is a folder, not a file")
    if not path.is_file():  # reading a pipe would wait for ever
        raise error(f"{path}: is not an ordinary file")
    if not os.access(path, os.R_OK):
        raise error(f"{path}: cannot be read (permission denied)")
    return path


def expand(path: str | os.PathLike[str]) -> Path:
    """Return a path with ~ and ~name put in full.

    Raises:
        BlitzError: there is no such user, or no home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise BlitzError(f"{path}: {str(error).rstrip('.')}") from None


def make_folder(path: Path) -> Path:
    """Make a folder with those above it, see that files can be written there, and return it.

    Raises:
        BlitzError: it is a file, or cannot be made or written to.
    """
    if path.exists() and not path.is_dir():
        raise BlitzError(f"{path}: is a file; give the name of a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".tmp-", dir=path):
            pass
    except OSError as error:
        raise BlitzError(f"{path}: files cannot be written there ({error.strerror}); give another folder") from error
    return path


@contextmanager
def explain_writing(folder: Path) -> Iterator[None]:
    """Turn what a full or read-only disk raises into one line that names the folder.

    TensorFlow's writers raise errors of their own in place of OSError.

    Raises:
        BlitzError: something could not be written, or a file not be read, which it names then.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, BlitzError) or (said := _refusal(error, folder)) is None:
            raise
        raise BlitzError(said) from error


def _refusal(error: BaseException | None, folder: Path) -> str | None:
    """Say what the system refused, by the first error in the chain that knows; None: none of them does."""
    while error is not None:
        if isinstance(error, OSError):
            where = f"{error.filename}: " if error.filename else f"{folder}: cannot be written, "
            return f"{where}{error.strerror or error}"
        if "tensorflow" in sys.modules and isinstance(error, sys.modules["tensorflow"].errors.OpError):
            reason = next(iter(str(error).splitlines()), "").rpartition("; ")[2]  # after the path
            return f"{folder}: cannot be written, {reason or type(error).__name__}"
        error = error.__cause__ or error.__context__
    return None


def check_target(path: Path) -> None:
    """Raise if no file can come to be at `path`; for long work, which should say so at its beginning.

    Raises:
        BlitzError: the folder of `path` is missing, or `path` is a folder or no ordinary file.
    """
    if path.is_dir():
        raise BlitzError(f"{path}: is a folder; give a file name to write to")
    if path.exists() and not path.is_file():
        raise BlitzError(f"{path}: is not an ordinary file; give a file name to write to")
    if path.parent.exists() and not path.parent.is_dir():
        raise BlitzError(f"{path}: {path.parent} is a file, not a folder")
    if not path.parent.is_dir():
        raise BlitzError(f"{path}: the folder {path.parent} does not exist; make it first")


def append_line(path: Path, line: str) -> None:
    """Add a line to a text file, which is made if it is missing.

    Raises:
        BlitzError: see `atomic_path`.
    """
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    with atomic_path(path) as temporary:
        temporary.write_text(f"{before}{line}\n", encoding="utf-8")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path` with the same ending; on leaving without an error it replaces `path`.

    After an error, Ctrl-C included, the temporary file is gone and `path` is as it was.

    Raises:
        BlitzError: the folder of `path` is missing or cannot be written to, or `path` is a folder.
    """
    if not isinstance(path, str | os.PathLike):
        raise BlitzError(f"{path!r} is not a path: give the name of a file to write to")
    path = Path(path)
    check_target(path)
    path = path.resolve() if path.is_symlink() else path  # a link stays a link, its target is written
    # The whole name goes last: Keras chooses the format by its ending (.keras, .weights.h5).
    try:
        handle, name = tempfile.mkstemp(prefix=".tmp-", suffix="-" + path.name, dir=path.parent)
    except OSError as error:
        raise BlitzError(f"{path}: cannot be written ({error.strerror})") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private; the user's own rule decides
        temporary.replace(path)
    except OSError as error:
        said = (error.strerror or str(error)).splitlines()[0]
        raise BlitzError(f"{path}: cannot be written ({said})") from error
    finally:
        temporary.unlink(missing_ok=True)
