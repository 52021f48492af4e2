"""The command `keras-blitz`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_blitz import command
from keras_blitz.models import NETWORKS

app = typer.Typer(
    name="keras-blitz",
    help="The PyTorch blitz in Keras: convert checkpoints to Keras models and back.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands(version: command.Version = False) -> None:
    """The PyTorch blitz in Keras: convert checkpoints to Keras models and back."""


@app.command()
def convert(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            help="The file to read: .safetensors, .pth, .pth.tar, .pt, .ckpt, .bin, the .index.json of shards or its "
            "folder, .keras or .weights.h5."
        ),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help=f"The network: {', '.join(NETWORKS)}.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write: .keras, .weights.h5, .safetensors, .pth or .pt.")
    ],
    prefix: Annotated[
        str | None, typer.Option(help="Use only the keys under this prefix, such as 'backbone.'.")
    ] = None,
    num_classes: Annotated[
        int | None, typer.Option(min=1, help="Size of the head. Default: the size in the checkpoint.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(help="A module to leave at its initial values, such as a head; may be repeated.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="The part of a pickled dictionary with the weights, such as 'state_dict_ema'.")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Round to float16, bfloat16, float32 or float64. Default: the checkpoint's dtype."),
    ] = None,
) -> None:
    """Convert a PyTorch checkpoint to a Keras file, or a Keras file to a PyTorch checkpoint, bit for bit."""
    from keras_blitz.quiet import import_tensorflow

    import_tensorflow()
    from keras_blitz.convert import convert as run

    done = run(checkpoint, output, model, prefix=prefix, num_classes=num_classes, skip=skip or (), key=key, dtype=dtype)
    print(f"{output}: {done.network}, {done.tensors} tensors, {done.values:,} values, {done.dtype}")
    for note in done.notes:
        print(f"  {note}")


def main() -> None:
    """Run the command; user errors print one line and exit with status 2."""
    command.run(app, "keras-blitz")


if __name__ == "__main__":
    main()
