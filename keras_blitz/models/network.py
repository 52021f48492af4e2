"""What every network of this package shares: PyTorch's attribute names, and a constructor that can be saved."""

import keras

from keras_blitz import random
from keras_blitz.initializers import Normal, initialize
from keras_blitz.quiet import check_keras

check_keras()  # what a network's layers would raise on another backend says nothing of the cause


class Submodules:
    """The layers below one PyTorch path: `net.linear_relu_stack[0]` is the layer `linear_relu_stack.0`."""

    def __init__(self, network: "Network", path: str):
        self._network, self._path = network, path

    def __getattr__(self, name: str):
        return self._network.submodule(f"{self._path}.{name}")

    def __getitem__(self, index: int):
        try:
            return self._network.submodule(f"{self._path}.{index}")
        except AttributeError as error:
            raise IndexError(str(error)) from None


def rebuilt(cls, config: dict, custom_objects: dict | None = None):
    """Build a network from its configuration; PyTorch's random stream, which constructors draw from, stays put."""
    with random.fork_rng():
        return cls(**config)


@keras.saving.register_keras_serializable("keras_blitz")
class Network(keras.Model):
    """A functional Keras model whose layers are named by PyTorch module paths.

    `net.conv1.bias` and `net.linear_relu_stack[0].kernel` read as in PyTorch. A subclass builds its layers in its
    constructor and passes its tensors on, with the arguments a reload needs. Its initial values are PyTorch's (see
    `initializers.initialize`).

    Args:
        inputs: Keras input tensor (N, H, W, C).
        outputs: Keras output tensor.
        name: the model's name.
        config: the subclass's constructor arguments, kept for `.keras` files.
    """

    # Whether images of other sizes than the declared one are taken: adaptive pooling makes them alike, as in PyTorch.
    takes_any_size = False

    def __init__(self, inputs, outputs, *, name: str, **config):
        super().__init__(inputs, outputs, name=name)
        # The type the network has, not None: a reload must not depend on what floatx is by then.
        self._constructor = {**config, "dtype": config.get("dtype") or keras.config.floatx()}
        self.dtype_policy = self._constructor["dtype"]
        if self.takes_any_size:
            self.input_spec = keras.layers.InputSpec(shape=(None, None, None, inputs.shape[-1]))
        initialize(self)

    def initial(self, layer, shape: tuple[int, ...]) -> Normal | None:
        """Return the initial values of a layer whose weight has this shape in PyTorch; None: PyTorch's own."""
        return None

    def submodule(self, path: str):
        """Return the layer at a PyTorch module path, or the `Submodules` below it.

        Raises:
            AttributeError: no layer has this path.
        """
        names = [layer.name for layer in self.layers]
        if path in names:
            return self.layers[names.index(path)]
        if any(name.startswith(path + ".") for name in names):
            return Submodules(self, path)
        raise AttributeError(f"{type(self).__name__} has no layer {path!r}; it has {', '.join(names)}")

    def __getattr__(self, name: str):
        # Python asks here for what ordinary look-up does not find: Keras's probes for private names while it builds,
        # and its own properties before they have a value.
        if name.startswith("_") or hasattr(type(self), name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        return self.submodule(name)

    def __setattr__(self, name: str, value):
        if isinstance(value, keras.layers.Layer):
            raise AttributeError(
                f"{type(self).__name__}.{name} cannot be replaced: Keras would silently go on using the old layer; "
                "build the network again, with num_classes= for another head"
            )
        super().__setattr__(name, value)

    def get_config(self) -> dict:
        """Return the constructor's arguments, all that a reload from `.keras` needs."""
        return {"name": self.name, **self._constructor}

    from_config = classmethod(rebuilt)
