"""Options of requests that several dialects have."""

__all__ = ["overflow_of"]


def overflow_of(truncate: bool | None) -> str | None:
    """What to do with a long input: cut it, refuse it, or what the model's settings say."""
    return None if truncate is None else "truncate" if truncate else "error"
