"""Compare what has several names: an ARN and an address end with the name that a template gave."""


def last_part(name: str) -> str:
    """Return the name at the end of an ARN or of a queue's address."""
    return name.replace("/", ":").rsplit(":", 1)[-1]
