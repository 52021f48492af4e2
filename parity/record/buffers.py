"""The buffers of a PyTorch module that its checkpoint holds; the others are constants. Does not import torch."""

from typing import Any


def kept_buffers(module: Any, recurse: bool = True) -> dict[str, Any]:
    """Return a module's buffers by name, without those that were registered with `persistent=False`."""
    modules = module.named_modules() if recurse else [("", module)]
    constants = {f"{path}.{n}" if path else n for path, each in modules for n in each._non_persistent_buffers_set}
    return {name: buffer for name, buffer in module.named_buffers(recurse=recurse) if name not in constants}
