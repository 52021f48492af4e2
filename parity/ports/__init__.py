"""The port's side of what is no network: functions beside their namesakes in parity/reference. Needs TensorFlow."""
