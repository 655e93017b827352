"""placeholder until merged."""

from contextlib import contextmanager


@contextmanager
def shared_among(communicator):
    """Nothing yet."""
    yield
