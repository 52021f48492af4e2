"""Layers and modules by their classes' names alone: the pairing knows them by these, so its tests run no framework."""

from types import SimpleNamespace
from zlib import crc32

import numpy as np

from parity.pair.wiring import KerasCall


class Variable:
    """A Keras variable: an array, the same for each path."""

    def __init__(self, path, shape, dtype="float32"):
        self.path, self.name, self.dtype = path, path.rpartition("/")[2], dtype
        self.trainable = True
        self.shape = tuple(shape)
        random = np.random.RandomState(crc32(path.encode()))
        self.array = np.asarray(random.standard_normal(self.shape), dtype)

    def numpy(self):
        return self.array

    def assign(self, value):
        assert value.shape == self.shape
        assert value.dtype == self.dtype
        self.array = value


def layer(kind, name="layer", weights=(), bases=(), **attributes):
    """Return a Keras layer of a class of this name; `weights` are {variable's name: shape}."""
    of_keras = {"__module__": "keras.layers"}  # a class from elsewhere is a user's own, which some rules tell apart
    made = type(kind, tuple(type(base, (), dict(of_keras)) for base in bases), of_keras)()
    made.name = name
    made.weights = [Variable(f"{name}/{path}", shape) for path, shape in dict(weights).items()]
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


class Module:
    """What `torch_units` reads of a PyTorch module."""

    _non_persistent_buffers_set = frozenset()

    def __init__(self, own, buffers, children):
        self.own, self.buffers, self.children = own, buffers, children

    def named_modules(self, prefix=""):
        yield prefix, self
        for name, child in self.children.items():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def _named(self, which, recurse):
        for path, inner in self.named_modules() if recurse else [("", self)]:
            for name, tensor in getattr(inner, which).items():
                yield f"{path}.{name}" if path else name, tensor

    def named_parameters(self, recurse=True):
        return self._named("own", recurse)

    def named_buffers(self, recurse=True):
        return self._named("buffers", recurse)

    def parameters(self, recurse=True):
        return [tensor for _, tensor in self.named_parameters(recurse)]


def tensor(*shape):
    """Return a parameter or buffer."""
    return SimpleNamespace(shape=shape)


def module(kind, weights=(), buffers=(), children=(), **attributes):
    """Return a PyTorch module of a class of this name; weights and buffers are {name: shape, or a tensor}."""

    def tensors(shapes):
        return {name: tensor(*s) if isinstance(s, tuple) else s for name, s in dict(shapes).items()}

    made = type(kind, (Module,), {"__module__": "torch.nn"})(tensors(weights), tensors(buffers), dict(children))
    for attribute, value in attributes.items():
        setattr(made, attribute, value)
    return made


def network(**children):
    """Return a PyTorch network of these modules."""
    return module("Net", children=children)


def torch_call(path, module, shape=(2, 4), number=0, fed=None):
    """Return a call as PyTorch's dry run tells of it; the second of `relu` is named `relu#2`."""
    name = path + (f"#{number + 1}" if number else "")
    return SimpleNamespace(name=name, path=path, number=number, module=module, shape=shape, fed=fed or shape)


def keras_call(layer, given=(2, 4), result=(2, 4), number=0, name=None):
    """Return a call of a Keras layer; shapes stand for arrays of zeros."""
    arrays = [np.zeros(value) if isinstance(value, tuple) else value for value in (given, result)]
    return KerasCall(name or layer.name, number, layer, *arrays)
