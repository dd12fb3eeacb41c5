"""The errors of a360, each with the exit code a job ends with.

A message reads: what was found, where, what was expected; ``hint`` says what the reader can do.
Exit codes 64 and 65 belong to Argo.
"""


class A360Error(Exception):
    """Something a person has to know about; printed without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = f"{type(self).__name__}: {self.message}"
        return f"{text}\nhint: {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders with their hint."""
        return _rebuild_error, (type(self), self.message, self.hint)


class ConfigError(A360Error):
    """The configuration is wrong, credentials are refused, a bucket is missing, the lock differs."""

    exit_code = 2


class DataError(A360Error):
    """A checkpoint, a data set or an evaluation is invalid; trying again gives the same."""

    exit_code = 3


class MissingError(DataError):
    """The object that was asked for is not in the store."""


class TransientError(A360Error):
    """Network, throttling, a full disk, a device error: trying again may help."""

    exit_code = 75


def _rebuild_error(kind: type[A360Error], message: str, hint: str | None) -> A360Error:
    return kind(message, hint=hint)
