"""Say who gives a command, for whoever asks later."""

from botsite import aws


def am_i() -> str:
    """Return the ARN of these credentials' owner, which needs no permission."""
    return str(aws.client("sts").get_caller_identity()["Arn"])
