"""What ends a load test before it has begun."""


class LoadTestError(Exception):
    """The load test cannot be run; the text says what is wrong and what to do."""
