"""Translate the same networks with `parity translate`, nobuco and onnx2tf; print what each made of them as a table.

    python scripts/compare_translators.py                                              ours alone
    python scripts/compare_translators.py --nobuco PYTHON --onnx2tf PYTHON             beside both
    python scripts/compare_translators.py --only U-Net --only resnet18 --limit 60      two networks

A peer needs an environment of its own, whose python is given. What they were measured with:

    python3.11 -m venv nobuco
    nobuco/bin/pip install torch==2.13.0 torchvision==0.28.0 nobuco==0.17.0 tensorflow-cpu==2.15.1 keras==2.15.0
    python3.12 -m venv onnx2tf
    onnx2tf/bin/pip install torch==2.13.0 torchvision==0.28.0 "onnx2tf[tensorflow]==2.6.9"

Each network and translator has a process of its own. It makes the network from one seed in eval mode, asks its own
PyTorch for the output and the gradients, and compares in float32: "passes" are outputs within 1e-4 of the largest,
gradients agree within 1e-3 of the tensor's largest. Transposes are counted as operations of the model that was built,
seconds are the CPU time of the translation alone.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_blitz import command
from keras_blitz.errors import BlitzError, one_line
from keras_blitz.progress import track

WORKERS = Path(__file__).parent / "translators"
COLUMNS = "network", "translator", "passes", "largest error", "gradients", "transposes", "source", "CPU seconds"
HEADER = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
# What tells why a process ended: the last line that is an error, of all the others a translator prints.
NOISE = ("INFO", "WARNING", "I0000", "W0000", "E0000")


def measure(python: str, translator: str, network: str, limit: float) -> dict[str, Any]:
    """Translate one network in a process of its own; return what was measured, or the "reason" why nothing was."""
    with tempfile.TemporaryDirectory() as folder:
        row = Path(folder) / "row.json"
        whole = [python, str(WORKERS / f"with_{translator}.py"), network, str(row)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(whole, cwd=folder, capture_output=True, text=True, timeout=limit, env=environment)
        except subprocess.TimeoutExpired:
            return {"reason": f"took over {limit:.0f} s"}
        if row.exists():
            return json.loads(row.read_text(encoding="utf-8"))
        return {"reason": last_error(done.stderr + done.stdout, done.returncode)}


def last_error(text: str, status: int) -> str:
    """Return the line that says why a process ended."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(NOISE)]
    errors = [line for line in lines if "Error" in line.split(":")[0]]
    said = (errors or lines or ["no message"])[-1]
    return f"ended by signal {-status}: {said}" if status < 0 else said


def line_of(network: str, translator: str, row: dict[str, Any]) -> str:
    """Return a line of the table."""
    if "reason" in row:
        reason = row["reason"].replace("|", "/")
        return f"| {network} | {translator} | no: {reason[:120]} | | | | | |"
    gradients = f"{row['agreeing']} of {row['parameters']}" if row["agreeing"] is not None else "none trainable"
    source = f"{row['lines']} lines" if row["lines"] else "no source"
    passes = "yes" if row["passes"] else "**no**"
    return (
        f"| {network} | {translator} | {passes} | {row['error']:.0e} | {gradients} | {row['transposes']} "
        f"| {source} | {row['seconds']} |"
    )


def pythons(nobuco: Path | None, onnx2tf: Path | None) -> dict[str, str]:
    """Return each translator's python.

    Raises:
        BlitzError: a peer's cannot be run, or does not have the peer.
    """
    found = {"parity": sys.executable}
    for name, path in (("nobuco", nobuco), ("onnx2tf", onnx2tf)):
        if path is None:
            continue
        try:
            asked = (
                f"from importlib.util import find_spec; raise SystemExit(not all(map(find_spec, ({name!r}, 'torch'))))"
            )
            status = subprocess.run([path, "-c", asked], capture_output=True).returncode
        except OSError as error:
            raise BlitzError(f"--{name} {path}: cannot be run: {one_line(error)}") from None
        if status:
            raise BlitzError(f"--{name} {path}: this environment does not have both {name} and torch")
        found[name] = str(path.absolute())
    return found


def main(
    nobuco: Annotated[Path | None, typer.Option(help="path to the python of an environment with nobuco")] = None,
    onnx2tf: Annotated[Path | None, typer.Option(help="path to the python of an environment with onnx2tf")] = None,
    only: Annotated[list[str] | None, typer.Option(help="run only these networks")] = None,
    limit: Annotated[float, typer.Option(help="seconds for each network and translator", min=1)] = 300,
) -> None:
    """Print the table; a network that a translator fails at is a line of it."""
    environments = pythons(nobuco, onnx2tf)
    sys.path.insert(0, str(WORKERS))
    from networks import NETWORKS

    if unknown := [name for name in only or [] if name not in NETWORKS]:
        raise BlitzError(f"--only {unknown[0]!r}: there are {', '.join(NETWORKS)}")
    chosen = [(network, name) for network in only or NETWORKS for name in environments]
    print(HEADER)
    for network, name in track(chosen, "compare translators", " by ".join):
        print(line_of(network, name, measure(environments[name], name, network, limit)), flush=True)


if __name__ == "__main__":
    command.run_script(main, "compare_translators")
