"""Exceptions. Each message says what came, what is legal and what to do."""


class BenchError(Exception):
    """Base of every error this package raises on bad input; the CLI prints it as one line."""


class UnknownNameError(BenchError):
    """A protocol, method, dataset or backbone that does not exist."""

    def __init__(self, kind: str, name: str, legal: list[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(legal)) or 'none'}")


class ProtocolError(BenchError):
    """A protocol file that cannot be parsed, or a value in it that cannot be met."""


class DataError(BenchError):
    """Missing or contradictory dataset files."""


class DecodeError(BenchError):
    """A video that cannot be decoded; the message carries its path and the reason."""


class BackboneError(BenchError):
    """A backbone that does not fit the block, or whose weights are missing."""


class CheckpointError(BenchError):
    """A checkpoint that is malformed, unsafe or contradicts its configuration."""


class MergeError(BenchError):
    """A model that cannot be merged, or whose merged copy differs past tolerance."""


class TrainError(BenchError):
    """Training that cannot go on, such as a loss that is not finite."""


class Interrupted(BenchError):
    """A run that was asked to stop, by SIGTERM or Ctrl-C; what follows it is not begun."""


class RecordError(BenchError):
    """A run record that is damaged, unknown or cannot be written."""
