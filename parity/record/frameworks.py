"""The frameworks that the recorders run: whether they are there, and how they are loaded."""

from importlib.util import find_spec


def torch_installed() -> bool:
    """Whether PyTorch can be found, without importing it."""
    return find_spec("torch") is not None


def load_frameworks(live: bool) -> None:
    """Import what the cases run on, without TensorFlow's greetings; PyTorch must come before TensorFlow."""
    from keras_blitz.quiet import import_tensorflow

    if live:
        import torch  # noqa: F401
    import_tensorflow()
