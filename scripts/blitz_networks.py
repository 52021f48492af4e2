"""The networks of the tutorials, from a placeholder to a CNN, and how to look inside one.

python scripts/blitz_networks.py
"""

import numpy as np

from keras_blitz import command
from keras_blitz.quiet import import_tensorflow


def stages() -> list:
    """Return the three stages of the MNIST network: Network0, Network1, Network2."""
    from keras_blitz.models import Network0, Network1, Network2

    return [Network0(), Network1(), Network2()]


def parameter_listing(network) -> list[str]:
    """Return a line a parameter, in PyTorch's names and shapes, as `named_parameters()` lists them."""
    from keras_blitz.weights import state_dict

    return [f"{name:<14}{tuple(value.shape)}" for name, value in state_dict(network).items()]


def predictions(network, count: int = 4) -> np.ndarray:
    """Return softmax probabilities (count, 10) of the network, untrained, on real images of the sample."""
    import keras

    from keras_blitz.data import load_sample, to_tensor

    images, _ = load_sample("test")
    return keras.ops.convert_to_numpy(keras.ops.softmax(network(to_tensor(images[:count]), training=False)))


def main() -> None:
    """Print the lesson."""
    parser = command.argument_parser(__doc__)
    parser.add_argument("--dry-run", action="store_true", help="the same: it takes seconds")
    parser.parse_args()
    import_tensorflow()
    import keras

    keras.utils.set_random_seed(0)
    network0, network1, network2 = stages()

    # A network begins as a class with a forward pass. Network0 has a placeholder layer and returns its input.
    print("Network0: a placeholder layer, and a forward that returns its input")
    network0.summary()

    # Network1 has its layers, but its forward does not use them yet: what comes in goes out.
    print("\nNetwork1: the layers are there, the forward does not use them yet")
    image = np.ones((1, 28, 28, 1), np.float32)
    print("output is the input:", np.array_equal(network1(image), image))
    print("\n".join(parameter_listing(network1)))

    # Network2 puts them to use. A layer is an attribute, and so is its bias.
    print("\nNetwork2: the forward uses them")
    network2.summary()
    print("network2.conv1.bias is", network2.conv1.bias.numpy())

    # In Keras a convolution's kernel is (kh, kw, in, out); state_dict shows it as PyTorch keeps it, (out, in, kh, kw).
    print("\nconv1 in Keras:  ", tuple(network2.conv1.kernel.shape))
    print("\n".join(parameter_listing(network2)))

    # Ten classes and no training: every class gets about a tenth.
    print("\nUntrained predictions, softmax, on four real images:")
    print(np.array2string(predictions(network2), precision=3, suppress_small=True))


if __name__ == "__main__":
    command.run(main, "blitz_networks")
