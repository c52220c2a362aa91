"""All that commands import and that depends on no setting; tests/support/forked.py forks a process that has it.

Settings are read when `botsite.settings` is imported, so that must not happen here.
"""

import sys
from importlib import import_module
from pathlib import Path

import botocore.session

from tests.support import descriptions  # noqa: F401 - read once, here.

_COMMANDS = Path(__file__).parents[2] / "deploy" / "management" / "commands"
_PACKAGES = ("boto3", "celery", "django.contrib.admin", "django.core.management", "httpx", "numpy", "structlog")
# What commands ask.
_SERVICES = ("acm", "autoscaling", "budgets", "ce", "cloudformation", "cloudwatch", "dynamodb", "ec2", "elbv2", "iam",
             "logs", "s3", "secretsmanager", "sqs", "ssm", "sts")  # fmt: skip

for _name in (*_PACKAGES, *(f"deploy.management.commands.{file.stem}" for file in sorted(_COMMANDS.glob("[a-z]*.py")))):
    import_module(_name)
for _name in _SERVICES:
    botocore.session.Session().create_client(
        _name, region_name="us-east-1", aws_access_key_id="nobody", aws_secret_access_key="none"
    )
assert "botsite.settings" not in sys.modules, "something reads settings while it is imported"
