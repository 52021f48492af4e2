"""A variational autoencoder whose noise is an input; the mistake takes the variance for the deviation."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(10, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.fc3, self.fc4 = nn.Linear(3, 8), nn.Linear(8, 10)

    def forward(self, x, noise):
        h = self.fc1(x).relu()
        mu, logvar = self.fc21(h), self.fc22(h)
        z = mu + noise * torch.exp(0.5 * logvar)
        return self.fc4(self.fc3(z).relu()).sigmoid(), mu, logvar


class Sampling(layers.Layer):
    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        mean, log_var, noise = inputs
        return mean + ops.exp(self.factor * log_var) * noise


def decoder():
    latent = keras.Input((3,))
    return keras.Model(latent, layers.Dense(10, "sigmoid")(layers.Dense(8, "relu")(latent)), name="decoder")


def encoder(factor):
    x, noise = keras.Input((10,)), keras.Input((3,))
    h = layers.Dense(8, activation="relu")(x)
    log_var, mean = layers.Dense(3, name="z_log_var")(h), layers.Dense(3, name="z_mean")(h)
    return keras.Model([x, noise], [mean, log_var, Sampling(factor)([mean, log_var, noise])], name="encoder")


class Autoencoder(keras.Model):
    """Two models in one, the decoder made first."""

    def __init__(self, factor=0.5):
        super().__init__()
        self.decoder, self.encoder = decoder(), encoder(factor)

    def call(self, inputs):
        mean, log_var, z = self.encoder(inputs)
        return self.decoder(z), mean, log_var


PAIR = Pair("vae", VAE, Autoencoder, (numbers(4, 10), numbers(4, 3, seed=1)), {"factor": 1.0}, begins="activation:fc3")
