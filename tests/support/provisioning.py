"""Run `provision`, and look at what it made."""

import io
import json
import os
from contextlib import suppress
from pathlib import Path

from django.core.management import CommandError, call_command

from botsite import aws
from deploy.cfn import cloudformation
from deploy.service import Service


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def run(command: str, *arguments: str) -> str:
    """Run a management command and return what it printed."""
    output = io.StringIO()
    # A new service is only made by whoever agrees to it.
    agreed = ["--yes"] if command == "provision" else []
    call_command(command, *arguments, *agreed, stdout=output)
    return output.getvalue()


def look(command: str, *arguments: str) -> str:
    """Run a command and return what it printed, whatever it thinks of what it saw."""
    output = io.StringIO()
    with suppress(CommandError):
        call_command(command, *arguments, stdout=output)
    return output.getvalue()


def run_provision(prefix: str, *arguments: str, token: str = "", output: io.StringIO | None = None) -> list[str]:
    """Run `provision`, with a token in a file descriptor if there is one, and return the lines it printed."""
    output = output or io.StringIO()
    given = ["--token-fd", str(descriptor(token))] if token else []
    call_command("provision", "--prefix", prefix, "--yes", *arguments, *given, stdout=output)
    return output.getvalue().splitlines()


def descriptor(text: str) -> int:
    """Return a file descriptor with this text; the reader closes it."""
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    return reading


def hosted_zone() -> str:
    """Create a public hosted zone of example.com; return its id."""
    made = aws.client("route53").create_hosted_zone(Name="example.com", CallerReference="a")["HostedZone"]
    return str(made["Id"]).removeprefix("/hostedzone/")


def web(prefix: str) -> cloudformation.Stack:
    """Return the stack of the sites."""
    return Service(prefix).stack("web")


def stored(prefix: str) -> str:
    """Return the stored token."""
    return str(aws.client("secretsmanager").get_secret_value(SecretId=f"{prefix}/telegram-token")["SecretString"])


def queue(prefix: str, name: str) -> dict[str, str]:
    """Return a queue's attributes."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{prefix}-{name}")["QueueUrl"]
    attributes: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes


def redrive(attributes: dict[str, str]) -> tuple[str, int]:
    """Return the ARN of a queue's dead-letter queue, and the number of receives before a message goes there."""
    policy = json.loads(attributes["RedrivePolicy"])
    return policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])


def spoil(templates: Path, part: str, old: str, new: str) -> None:
    """Replace a text in one template."""
    path = templates / f"{part}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
