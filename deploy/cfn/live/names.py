"""Compare ARNs and addresses by the name at their end."""


def last_part(name: str) -> str:
    """Return the name at the end of an ARN or of a queue's address."""
    return name.replace("/", ":").rsplit(":", 1)[-1]
