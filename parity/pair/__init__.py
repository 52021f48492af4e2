"""`parity.check`: a user's own PyTorch module beside their own Keras model."""
