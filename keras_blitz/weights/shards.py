"""Checkpoints in several files, with an index that says which tensor is in which."""

import json
import re
from pathlib import Path

from keras_blitz.errors import CheckpointError

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLE = ("model.safetensors", "pytorch_model.bin")
INDEX_ENDING = ".index.json"


def in_folder(folder: Path) -> Path:
    """Return the checkpoint in a folder that Hugging Face's libraries saved: an index, or one file.

    Raises:
        CheckpointError: there is none.
    """
    for name in (*INDEXES, *SINGLE):
        if (folder / name).is_file():
            return folder / name
    raise CheckpointError(f"{folder}: is a folder that contains none of {', '.join((*INDEXES, *SINGLE))}")


def check_whole(path: Path) -> None:
    """Raise for a file that is one shard of several.

    Raises:
        CheckpointError: its name says so, model-00001-of-00002.safetensors.
    """
    part = re.search(r"-(\d+)-of-(\d+)\.\w+$", path.name)
    if part and int(part[2]) > 1:
        raise CheckpointError(
            f"{path}: is one shard of {int(part[2])}; give the index, {path.parent / '*.index.json'}, or the folder"
        )


def read_index(path: Path) -> dict[Path, list[str]]:
    """Return the shards that an index names, and the names of the tensors in each.

    Raises:
        CheckpointError: it is not an index, names a file outside its folder, or a shard is missing.
    """
    try:
        named = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        pairs = [(str(name), str(file)) for name, file in named.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CheckpointError(f"{path}: not an index of shards (it has no weight_map of names to files)") from None
    shards: dict[Path, list[str]] = {}
    for name, file in pairs:
        if Path(file).name != file:
            raise CheckpointError(f"{path}: names the shard {file!r}, which is not a file in the same folder")
        shards.setdefault(path.parent / file, []).append(name)
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing or not shards:
        raise CheckpointError(f"{path}: its shards are missing: {', '.join(missing) or 'it names none'}")
    return shards


def check_names(path: Path, shard: Path, named: list[str], held: list[str]) -> None:
    """Raise where a shard does not hold what the index says.

    Raises:
        CheckpointError: names the first tensor that is in one of the two alone.
    """
    for name in named:
        if name not in held:
            raise CheckpointError(f"{path}: {name} is not in {shard.name}, where it should be")
    for name in set(held) - set(named):
        raise CheckpointError(f"{path}: {name} is in {shard.name}, and not in the index")
