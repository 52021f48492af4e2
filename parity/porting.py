"""The commands on a user's own models: `parity transfer` and `parity translate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keras_blitz.command import announce_stop
from keras_blitz.errors import BlitzError
from keras_blitz.files import check_target

if TYPE_CHECKING:
    from parity.pair.transfer import Transfer

Module = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:NAME",
        help="A torch.nn.Module, its class, or a function that returns one: mypackage.nets:Net or nets.py:Net.",
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input", metavar="SHAPE", help="Each input in PyTorch's layout: 2,3,32,32, or 2,16:int:1000. Default: two "
        "examples of the Keras model's.",
    ),
]  # fmt: skip


def transfer_command(
    module: Module,
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="The Keras model, a .keras file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help=".keras or .weights.h5; with --reverse .pth, .pt, .safetensors.")
    ],
    checkpoint: Annotated[Path | None, typer.Option(help="The module's weights: .pth, .pt or .safetensors.")] = None,
    shapes: Inputs = None,
    reverse: Annotated[bool, typer.Option("--reverse", help="Copy the Keras weights into the PyTorch module.")] = False,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Write the file even if the two are not equivalent.")
    ] = False,
) -> None:
    """Fill a Keras model with a PyTorch module's weights, and prove that both compute the same.

    The command imports MODULE, so its code runs and can register the classes of the Keras model. Exit status: 0 the
    file was written, 1 the models are not equivalent with these weights and no file was written, 2 wrong usage.
    """
    with announce_stop("parity", "interrupted: nothing was written"):
        from keras_blitz.weights.checkpoint import KERAS_ENDINGS, TORCH_ENDINGS, ending
        from parity.pair.equivalence import require_torch

        ending(output, TORCH_ENDINGS if reverse else (*KERAS_ENDINGS, *TORCH_ENDINGS))
        check_target(output)
        require_torch("parity transfer")
        done = _transfer(module, model, output, checkpoint, shapes, reverse, unproven)
        raise typer.Exit(0 if done.passed else 1)


def _transfer(
    module: str, model: Path, output: Path, checkpoint: Path | None, shapes: list[str] | None, reverse: bool,
    unproven: bool,
) -> "Transfer":  # fmt: skip
    """Fill a model, print what was done, and write it; the arguments are those of the command."""
    from keras_blitz.weights.checkpoint import write_model, write_state
    from parity.pair.transfer import transfer
    from parity.record import torch_state

    net = load_torch(module, checkpoint)
    port = load_keras(model)
    done = transfer(net, port, draw_inputs(shapes, port), reverse=reverse, unproven=unproven)
    print(done)
    if done.filled and reverse:
        write_state(torch_state.state_of(net), output)
    elif done.filled:
        write_model(port, output)
    print(f"{output}: {'written' if done.filled else 'not written'}")
    return done


def translate_command(
    module: Annotated[str, typer.Argument(
        metavar="MODULE:NAME", help="The PyTorch module, its class, or a function that returns it; or FILE.py:NAME.")],
    shape: Annotated[list[str], typer.Option(
        "--input", metavar="SHAPE", help="Shape of an input: 2,3,224,224 or 2,16:int:1000 (integers).")],
    output: Annotated[Path, typer.Option(
        "-o", "--output", metavar="FILE.py", help="The file to write; the weights go next to it.")],
    trust: Annotated[bool, typer.Option("--trust", help="Load a pickled module, which runs the code in it.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Write a stub for each operation without a rule.")] = False,
    batch: Annotated[bool, typer.Option("--batch/--no-batch", help="Whether axis 0 of each input is a batch.")] = True,
    other: Annotated[
        list[str] | None, typer.Option(metavar="SHAPE", help="Another size of the inputs; the model accepts all sizes.")
    ] = None,
    proof: Annotated[bool, typer.Option(
        "--proof/--no-proof", help="Prove the port, in 12 × the memory of the weights.")] = True,
) -> None:  # fmt: skip
    """Write a PyTorch module as Keras source, and prove that both compute the same.

    Exit status: 0 proven equivalent, 1 written but not proven, 2 nothing was written.
    """
    from parity.translate.command import run as translate

    with announce_stop("parity", "interrupted: nothing was written"):
        done = translate(
            module, shape, output, trust=trust, partial=partial, batch=batch, other=other or (), check=proof
        )
        raise typer.Exit(done)


def load_torch(address: str, checkpoint: Path | None) -> Any:
    """Return the module that an address like `mypackage.nets:Net` names, with the weights of a checkpoint.

    Raises:
        BlitzError: it cannot be imported or made, is not a module, or the checkpoint does not fit it.
    """
    from keras_blitz.weights.checkpoint import open_state
    from keras_blitz.weights.names import by_expected_names
    from parity.record import torch_recorder, torch_state
    from parity.translate.command import load

    net = load(address, trust=False)
    if checkpoint is not None:
        shapes = torch_recorder.shapes(net)
        expected = [name for name in shapes if not name.endswith(".num_batches_tracked")]  # older files lack them
        tensors, _ = by_expected_names(open_state(checkpoint).tensors, expected)
        problems = {
            "missing": [name for name in expected if name not in tensors],
            "surplus": [name for name in tensors if name not in shapes],
            "of another shape": [
                f"{name}, {tensor.shape} for {shapes[name]}"
                for name, tensor in tensors.items()
                if name in shapes and tensor.shape != shapes[name]
            ],
        }
        said = [f"{len(names)} tensors are {what} ({names[0]})" for what, names in problems.items() if names]
        if said:
            raise BlitzError(f"{checkpoint} does not fit {address}: {'; '.join(said)}")
        torch_state.fill(net, {name: tensor.array() for name, tensor in tensors.items()})
    return net


def load_keras(path: Path) -> Any:
    """Return the model of a `.keras` file; the classes that it needs are those that have been registered."""
    from keras_blitz.models.saved import load_model

    return load_model(path)


def draw_inputs(shapes: list[str] | None, model: Any) -> Any:
    """Return fixed random inputs of these shapes; without any, of the Keras model's inputs, in PyTorch's layout.

    Raises:
        BlitzError: a shape that is not one, or none is given and the Keras model does not tell.
    """
    from keras_blitz.weights.layout import by_rank
    from parity.translate.command import array_of

    if not shapes:
        declared = [tuple(each.shape) for each in getattr(model, "inputs", None) or []]
        if not declared or any(size is None for shape in declared for size in shape[1:]):
            raise BlitzError("the Keras model does not say the shape of its inputs: give --input, such as 2,3,32,32")
        sizes = [by_rank(len(shape)).torch_shape((2, *shape[1:])) for shape in declared]
        shapes = [",".join(map(str, shape)) for shape in sizes]
    arrays = tuple(array_of(text) for text in shapes)
    return arrays if len(arrays) > 1 else arrays[0]
