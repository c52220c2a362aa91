"""Decide in which region the service is, in one place: a wrong guess would build it where nobody looks."""

import botocore.session
from botocore.exceptions import BotoCoreError

# An emulator has every region.
_EMULATED = "us-east-1"


def chosen(named: str, endpoint_url: str) -> str:
    """Return AWS_REGION, else what boto3 finds in AWS_DEFAULT_REGION or the profile; empty if nobody chose one."""
    if named:
        return named
    try:
        found = botocore.session.get_session().get_config_variable("region")
    except BotoCoreError:
        found = None  # The profile doesn't exist, as the first client will say.
    return found or (_EMULATED if endpoint_url else "")
