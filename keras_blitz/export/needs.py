"""What an export needs and the base install does not have."""

from importlib.util import find_spec

from keras_blitz.errors import BlitzError


def need(package: str) -> None:
    """Refuse what cannot be done without a package.

    Raises:
        BlitzError: it is not installed.
    """
    if find_spec(package) is None:
        raise BlitzError(f"this needs {package}: pip install 'keras-blitz[scripts]'")
