"""`parity translate`: a module of the user's own file, written as Keras source, with its proof."""

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.files import check_target
from parity.core.nearest import near
from parity.record.frameworks import load_frameworks, torch_installed

WRITTEN = "translated from"  # in the head of each file that is written
PROOF_TIMES = 12  # the proof's memory, in weights as float32; measured, see docs/translate.md
LARGE = 4  # GB that are worth a word
WEIGHTS = (".pt", ".pth", ".pkl", ".bin", ".ckpt", ".safetensors", ".onnx", ".h5")
BY_FUNCTION = "name a function without arguments that makes the module, as file.py:NAME"


def run(
    name: str, inputs: Sequence[str], output: Path, *, trust: bool, partial: bool, batch: bool = True,
    other: Sequence[str] = (), check: bool = True,
) -> int:  # fmt: skip
    """Translate, write and print the verdict; return the exit status.

    Args:
        name: MODULE:NAME or FILE.py:NAME, a module, a class or a function without arguments; or a pickled module.
        inputs: shapes, "1,3,224,224"; whole numbers below a bound as "2,16:int:1000"; one for each argument.
        output: the file to write; the weights go beside it.
        trust: a pickle may run the code it holds.
        partial: write stubs where there is no rule.
        batch: axis 0 of each input is the batch.
        other: shapes of another height and width; the model takes every size then.
        check: prove it.

    Raises:
        BlitzError: the module cannot be loaded, run or translated, or a file cannot be written.
    """
    if output.suffix != ".py":
        raise BlitzError(f"-o {output}: give the name of a .py file")
    for path in (output, output.with_suffix(".weights.h5")):
        check_target(path)
    _require_own(output)
    arrays = tuple(array_of(text) for text in inputs)
    others = tuple(array_of(text, "--other") for text in other) or None
    if not torch_installed():
        raise BlitzError("parity translate runs PyTorch: pip install 'keras-blitz[torch]'")
    load_frameworks(live=True)
    module = load(name, trust)
    from parity.translate.port import translate

    if check and (size := _proof_size(module)) > LARGE:
        print(f"note: the proof takes about {size:.0f} GB of memory; --no-proof writes without it", file=sys.stderr)
    with _quiet():
        port = translate(module, arrays, partial=partial, check=check, batch=batch, other=others)
    port.write(output)
    written = f"{output} ({port.source.count(chr(10))} lines)"
    if not port.holes and not (port.proof and port.proof.error):
        written += f" and {port.weights_file}"
    print(f"wrote {written}")
    for note in port.notes:
        print(f"note: {note}", file=sys.stderr)
    for hole in port.holes:
        print(f"left out: {hole}", file=sys.stderr)
    if port.proof is None and not port.holes:
        print("not proven: no parity.check has run")
    if port.proof is not None:
        print(port.proof.line)
        if port.report is not None and not port.passed:
            print(port.report)
    return 0 if port.passed else 1


def _proof_size(module: Any) -> float:
    """Return the memory that a proof takes, in GB."""
    from torch.nn.parameter import is_lazy

    count = sum(tensor.numel() for tensor in module.parameters() if not is_lazy(tensor))
    return PROOF_TIMES * 4 * count / 2**30


def _require_own(output: Path) -> None:
    """Raise a BlitzError for a source that something else has written, such as the module's own file."""
    if output.is_file() and WRITTEN not in output.read_text(encoding="utf-8", errors="replace")[:1000]:
        raise BlitzError(
            f"-o {output}: there is such a file, which parity translate has not written: give another name"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Swallow what the module prints: it runs a dozen times."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield


def array_of(text: str, option: str = "--input") -> np.ndarray:
    """Return a fixed input of a shape that was given as "2,3,32,32", or "2,16:int:1000" for numbers below 1000.

    Raises:
        BlitzError: the text is not such a shape.
    """
    shape, _, kind = text.partition(":")
    name, _, bound = kind.partition(":")
    try:
        sizes = tuple(int(part) for part in shape.split(","))
        below = int(bound) if bound else 2
    except ValueError:
        sizes, below = (), 0
    if not sizes or min(sizes) < 1 or name not in ("", "int") or below < 1:
        raise BlitzError(
            f"{option} {text!r}: give a shape such as 2,3,224,224, or 2,16:int:1000 for numbers below 1000"
        )
    stream = np.random.RandomState(0)
    try:
        return stream.randint(0, below, sizes) if name == "int" else stream.standard_normal(sizes).astype(np.float32)
    except (MemoryError, ValueError):
        raise BlitzError(f"{option} {text!r}: an array of this shape does not fit into memory") from None


def load(name: str, trust: bool) -> Any:
    """Return the module that MODULE:NAME, FILE.py:NAME or a pickle names.

    Raises:
        BlitzError: there is none, it raises, or it is a pickle that is not trusted.
    """
    source, colon, attribute = name.partition(":")
    if not colon and Path(name).suffix in WEIGHTS:
        return _unpickle(Path(name), trust)
    if not (source and attribute):
        raise BlitzError(f"{name!r}: name the module as package.file:NAME or file.py:NAME")
    home = _import(source)
    found: Any = home
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise BlitzError(f"{source} has no {part!r}{_alike(part, found)}")
        found = getattr(found, part)
    return _made(found, name)


def _alike(part: str, home: Any) -> str:
    """Return the public names of a module that are like a part, or else the torch.nn.Modules that it defines."""
    from torch import nn

    public = {name: each for name, each in getattr(home, "__dict__", {}).items() if not name.startswith("_")}
    classes = {name: each for name, each in public.items() if isinstance(each, type) and issubclass(each, nn.Module)}
    own = [name for name, each in classes.items() if each.__module__ == getattr(home, "__name__", None)]
    listed = f"; it has {', '.join(own[:5])}{', …' if len(own) > 5 else ''}" if own else ""
    return near(part, (name for name, each in public.items() if callable(each)), cutoff=0.7) or listed


def _made(found: Any, name: str) -> Any:
    from torch import nn

    if not isinstance(found, nn.Module):
        if not callable(found):
            kind = type(found).__name__
            raise BlitzError(f"{name} is of type {kind}, neither a torch.nn.Module nor makes one; {BY_FUNCTION}")
        try:
            found = found()
        except (Exception, SystemExit) as error:  # a user's constructor may raise anything
            hint = f"; {BY_FUNCTION}" if isinstance(error, TypeError) and "argument" in str(error) else ""
            raise BlitzError(f"{name}() raised {type(error).__name__}: {_first_line(error)}{hint}") from None
    if not isinstance(found, nn.Module):
        raise BlitzError(f"{name} makes a {type(found).__name__}, not a torch.nn.Module")
    return found


def _import(source: str) -> Any:
    from parity.twins.torch.families import define_missing_operators

    define_missing_operators()  # which torchvision looks for, and a user's file may import torchvision
    sys.path.insert(0, "")  # a user's own file, as `python -m` has it
    try:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        path = Path(source)
        if not path.is_file():
            raise BlitzError(f"{source}: {'is a folder' if path.is_dir() else 'no such file'}")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = found
        spec.loader.exec_module(found)
    except BlitzError:
        raise
    except (Exception, SystemExit) as error:  # a user's file may raise anything
        relative = isinstance(error, ImportError) and "relative import" in str(error)
        hint = "; it is part of a package: name it from the folder above, as package.file:NAME" if relative else ""
        raise BlitzError(f"{source} cannot be imported: {type(error).__name__}: {_first_line(error)}{hint}") from None
    return found


def _unpickle(path: Path, trust: bool) -> Any:
    import torch

    if not path.is_file():
        raise BlitzError(f"{path}: no such file")
    if path.suffix in (".safetensors", ".onnx", ".h5"):
        raise BlitzError(f"{path}: this kind of file holds no torch.nn.Module; {BY_FUNCTION}")
    if not trust:
        raise BlitzError(f"{path}: loading a pickled module runs the code it holds; give --trust if you trust the file")
    try:
        found = torch.load(path, map_location="cpu", weights_only=False)
    except (Exception, SystemExit) as error:  # whatever its code raises
        raise BlitzError(f"{path} cannot be loaded: {type(error).__name__}: {_first_line(error)}") from None
    if not isinstance(found, torch.nn.Module):
        what = "weights alone, as of a state_dict" if isinstance(found, dict) else f"a {type(found).__name__}"
        raise BlitzError(f"{path} holds {what}, not a torch.nn.Module; {BY_FUNCTION}, and loads it")
    return found


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or "no message").splitlines()[0]
