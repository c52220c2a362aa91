"""Have AWS make the roles of its own services before they are needed: a first group races with its own role otherwise.

They are the account's, not the service's: others may use them by the time it is deleted, so they stay.
"""

from botocore.exceptions import ClientError

from botsite import aws
from deploy.cfn import remedies
from deploy.patience import Say

_SERVICES = ("autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com")
# AWS says that the name "has been taken in this account", an emulator that the role exists.
_THERE = ("InvalidInput", "EntityAlreadyExists")


def make(say: Say) -> None:
    """Make those that the account lacks; with credentials that may not, AWS makes them when it needs them."""
    for name in _SERVICES:
        try:
            aws.client("iam").create_service_linked_role(AWSServiceName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _THERE:
                continue
            if not (lacked := remedies.denied_action(error)):
                raise
            say(f"these credentials lack {lacked}: AWS makes its role with the first group, perhaps too late")
            return
        say(f"AWS has made its role for {name}")
