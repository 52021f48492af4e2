"""torchvision's pretrained weights: found on this machine, or downloaded once."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from keras_blitz.errors import CheckpointError
from keras_blitz.files import atomic_path

# Where torchvision's weights are published.
BASE = "https://download.pytorch.org/models/"

# network -> file; torchvision's IMAGENET1K_V1. The last part of the name is the beginning of the file's SHA-256.
FILES = {
    "resnet18": "resnet18-f37072fd.pth",
    "resnet34": "resnet34-b627a593.pth",
    "resnet50": "resnet50-0676ba61.pth",
    "resnet101": "resnet101-63fe2227.pth",
    "resnet152": "resnet152-394f9c45.pth",
    "vgg11": "vgg11-8a719046.pth",
    "vgg11_bn": "vgg11_bn-6002323d.pth",
    "vgg13": "vgg13-19584684.pth",
    "vgg13_bn": "vgg13_bn-abd245e5.pth",
    "vgg16": "vgg16-397923af.pth",
    "vgg16_bn": "vgg16_bn-6c64b313.pth",
    "vgg19": "vgg19-dcbb9e9d.pth",
    "vgg19_bn": "vgg19_bn-c79401a0.pth",
    "alexnet": "alexnet-owt-7be5be79.pth",
    "inception_v3": "inception_v3_google-0cc3c7bd.pth",
    "inception_v3_no_aux": "inception_v3_google-0cc3c7bd.pth",
}

_TIMEOUT = 15  # seconds without an answer


def hub_cache() -> Path:
    """Return the folder where torch.hub keeps checkpoints: under $TORCH_HOME, else $XDG_CACHE_HOME, else ~/.cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


def find(name: str, weights: str | os.PathLike[str]) -> Path:
    """Return the checkpoint that `weights` means for a network.

    Args:
        name: the network, a key of `FILES` where `weights` is "imagenet".
        weights: "imagenet", or the path of a checkpoint. "imagenet" is looked for in the working folder, then in
            torch.hub's cache, where it is downloaded to if it is nowhere.

    Raises:
        CheckpointError: there is none, and it cannot be downloaded.
    """
    if weights != "imagenet":
        return Path(weights)
    if name not in FILES:
        raise CheckpointError(f"{name} has no pretrained weights; these networks have: {', '.join(FILES)}")
    file = FILES[name]
    cached = hub_cache() / file
    for path in (Path.cwd() / file, cached):
        if path.is_file():
            return path
    try:
        return _download(file, cached)
    except (urllib.error.URLError, OSError, CheckpointError) as error:
        reason = getattr(error, "reason", error)
        raise CheckpointError(
            f"no pretrained weights of {name}: {file} is not in {Path.cwd()}, not in torch.hub's cache "
            f"{cached.parent}, and cannot be downloaded from {BASE}{file} ({reason}); "
            'download it elsewhere and put it in one of the two folders, or give its path, weights="path.pth"'
        ) from None


def _download(file: str, target: Path) -> Path:
    """Download a file, check its hash, and only then give it its name."""
    from rich.progress import wrap_file

    target.parent.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(BASE + file, timeout=_TIMEOUT) as answer, atomic_path(target) as temporary:
        size = int(answer.headers.get("Content-Length", 0))
        digest = hashlib.sha256()
        with temporary.open("wb") as output, wrap_file(answer, total=size, description=file) as source:
            while block := source.read(1 << 20):
                digest.update(block)
                output.write(block)
        expected = Path(file).stem.rpartition("-")[2]
        if not digest.hexdigest().startswith(expected):
            raise CheckpointError(f"the download is not {file}: its SHA-256 does not begin with {expected}")
    return target
