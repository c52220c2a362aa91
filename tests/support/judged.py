"""Run an AWS that judges calls by policies, and write these as it judges them.

It takes each call of AWS Budgets for an action of its own. AWS has two actions for them (service authorization
reference, AWS Budgets).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient

from tests.support import emulators
from tests.support.local_aws import clients_of
from tests.support.tls import local_certificate

Factory = Callable[[str], Any]
# Services whose name in IAM differs from that in their address.
_NAMES = {"monitoring": "cloudwatch", "tagging": "tag"}

_CALLS = {
    "budgets:ViewBudget": ["budgets:DescribeBudget", "budgets:DescribeSubscribersForNotification"],
    "budgets:ModifyBudget": [
        f"budgets:{call}"
        for call in (
            "CreateBudget",
            "CreateNotification",
            "CreateSubscriber",
            "DeleteBudget",
            "DeleteSubscriber",
            "UpdateBudget",
        )
    ],
}


@contextmanager
def running(folder: Path) -> Iterator[Factory]:
    """Run an AWS with TLS that checks permissions; yield a factory of clients that may do everything."""
    certificate, key_file = local_certificate(folder)
    tls = {"USE_SSL": "1", "MINISTACK_SSL_CERT": str(certificate), "MINISTACK_SSL_KEY": str(key_file)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_CA_BUNDLE", str(certificate))
        with emulators.judging("https", **tls) as url:
            yield clients_of(url, aws_access_key_id="test", aws_secret_access_key="test")


@contextmanager
def somebody(root: Factory, name: str) -> Iterator[None]:
    """Within the block, be a new user, who may do nothing until a policy is put."""
    root("iam").create_user(UserName=name)
    key = root("iam").create_access_key(UserName=name)["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        emulators.forget_clients()
        yield
    emulators.forget_clients()


@contextmanager
def asked() -> Iterator[set[str]]:
    """Collect the actions that this process requests from AWS within the block, by AWS's names of most of them."""
    actions: set[str] = set()
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def record(client: BaseClient, operation: str, arguments: object) -> object:
        service = client.meta.service_model.signing_name
        actions.add(aws_action(f"{_NAMES.get(service, service)}:{operation}"))
        return call(client, operation, arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", record)
        yield actions


def statement(given: dict[str, Any]) -> dict[str, Any]:
    """Return a statement whose actions are a list, with the emulator's actions next to AWS's."""
    return {**given, "Action": [name for action in given["Action"] for name in (action, *_CALLS.get(action, ()))]}


def aws_action(call: str) -> str:
    """Return AWS's action for a call."""
    return next((action for action, calls in _CALLS.items() if call in calls), call)
