"""The port's side of what is not a network of keras_blitz: the namesakes of parity/twins/torch. Needs TensorFlow."""
