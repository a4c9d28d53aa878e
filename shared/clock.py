"""The clock. Everything that depends on the time takes a clock, or a time, as an argument."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)
