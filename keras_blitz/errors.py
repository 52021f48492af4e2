"""The errors a user can mend: each message says what, where and what to do."""


class BlitzError(ValueError):
    """Bad input or a missing piece; the commands print its message as one line and exit with status 2."""


class CheckpointError(BlitzError):
    """A checkpoint that is missing, broken, refused, or does not fit the model."""
