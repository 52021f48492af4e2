"""The frameworks by the names their users know them by, loaded at first use: listing the catalogue loads neither."""

from importlib import import_module
from typing import Any


class _Lazy:
    def __init__(self, module: str):
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


class _Torchvision(_Lazy):
    def __getattr__(self, name: str) -> Any:
        import_module("parity.twins.torch.families").define_missing_operators()
        return super().__getattr__(name)


torch = _Lazy("torch")
nn = _Lazy("torch.nn")
F = _Lazy("torch.nn.functional")
tf = _Lazy("tensorflow")
keras = _Lazy("keras")
blitz = _Lazy("keras_blitz")
autograd = _Lazy("keras_blitz.autograd")
data = _Lazy("keras_blitz.data")
layers = _Lazy("keras_blitz.layers")
losses = _Lazy("keras_blitz.losses")
ops = _Lazy("keras_blitz.ops")
optim = _Lazy("keras_blitz.optim")
random = _Lazy("keras_blitz.random")
torchvision = _Torchvision("torchvision")
Image = _Lazy("PIL.Image")
