"""What can go wrong with a local service: the world's fault, told in a line or two."""

from schemas.errors import TidingsError


class ServiceError(TidingsError):
    """A local service can't be started, reached or stopped; the text says why and what to do."""
