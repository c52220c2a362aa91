"""Staging and production side by side in one account: both answer, and the end of one leaves the other as it is.

The prefix of production begins that of staging, which is the worst case for whatever goes by names.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from django.conf import settings

from botsite import aws
from deploy import budget
from deploy.budget import MonthlyBudget
from deploy.certificates import acm
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl, TelegramUser
from deploy.service import Service
from tests.support import emulators, inventory, operating

pytestmark = pytest.mark.slow(quick="tests/provision/test_teardown.py")

PRODUCTION, STAGING = Service("objdet"), Service("objdet-staging")
HOSTS = {PRODUCTION: ("127.0.0.5",), STAGING: ("127.0.0.6",)}
Environments = dict[Service, LocalStack]


@dataclass
class Environment(LocalStack):
    """The running service on an AWS that others use, too."""

    def start_aws(self) -> None:
        """Use the AWS that is there."""
        self.endpoint = settings.AWS_ENDPOINT_URL
        self.env |= {"AWS_ENDPOINT_URL": self.endpoint, **emulators.keys()}


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory, weights: str) -> Iterator[Environments]:
    """Two services in one account, each with its own bot, image, budget and log group outside its stacks."""
    with ExitStack() as stack:
        # Everything in the account is listed, and Telegram comes to its load balancers as anybody does, without keys.
        stack.enter_context(emulators.own_ministack())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        found: Environments = {}
        for service, hosts in HOSTS.items():
            # Setting a webhook changes both, and other tests have them.
            patch.setenv("TELEGRAM_API_URL", "")
            patch.setattr(settings, "TELEGRAM_API_URL", "")
            folder = tmp_path_factory.mktemp(service.prefix)
            one = Environment(folder, weights, time_scale=0.05, service=service, hosts=hosts)
            found[service] = stack.enter_context(one.running())
            add(service)
        yield found


def add(service: Service) -> None:
    """Give a service what belongs to no stack."""
    ec2, tags = aws.client("ec2"), service.tag_list(Role="yolo5")
    marks = [{"ResourceType": "image", "Tags": tags}]
    ec2.register_image(Name=f"{service}-yolo5-1", TagSpecifications=marks)
    volume = ec2.create_volume(AvailabilityZone="us-east-1a", Size=1)["VolumeId"]
    ec2.create_snapshot(VolumeId=volume, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])
    acm.ensure_self_signed(service, "bot.example.com")
    aws.client("logs").create_log_group(logGroupName=f"/{service}/old", tags=service.tags())
    budget.create(MonthlyBudget(service, 10, tagged=False), "ops@example.com")


def answer(environment: LocalStack, chat_id: int, photo: bytes) -> None:
    """Send a photo and wait for its answer."""
    user = TelegramUser(environment.telegram_url, chat_id)
    user.wait_for_reply(user.send_photo(photo))


def test_end_of_production_leaves_staging_as_it_is(environments: Environments, photo: bytes) -> None:
    for number, environment in enumerate(environments.values(), 1):
        answer(environment, number, photo)
    production, staging = environments[PRODUCTION], environments[STAGING]
    webhook = TelegramControl(staging.telegram_url).webhook()
    before = inventory.read()
    for role in (*production.sites, *production.workers, production.metrics):
        role.terminate()
        role.wait()
    done = operating.manage("teardown", "--prefix", PRODUCTION.prefix, "--yes", env=operating.of(production))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    after = inventory.read()
    gone = {name: text for name, text in before.items() if name not in after}
    assert after == {name: text for name, text in before.items() if name not in gone}
    assert {kind for kind, _ in gone} == inventory.KINDS.keys()
    assert [name for name, text in gone.items() if STAGING.prefix in f"{name} {text}"] == []
    assert not [
        name for name, text in after.items() if PRODUCTION.prefix in f"{name} {text}".replace(STAGING.prefix, "")
    ]
    assert TelegramControl(staging.telegram_url).webhook() == webhook
    answer(staging, 9, photo)
