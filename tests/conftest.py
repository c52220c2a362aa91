"""The running service that tests share: ministack, the fake Telegram, two sites behind an ALB, one worker."""

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import django
import httpx
import hypothesis
import psutil
import pytest
from django.conf import settings
from playwright.sync_api import Browser, StorageState, expect, sync_playwright
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

os.environ["DJANGO_SETTINGS_MODULE"] = "botsite.settings"
os.environ.setdefault("LOG_FORMAT", "json")
# Whoever runs the tests need not have a region.
os.environ.setdefault("AWS_REGION", "us-east-1")
# Answers come as replies, whether or not people had to wait; tests/bot/test_acknowledge.py has a site that tells them.
os.environ.setdefault("ACKNOWLEDGE", "off")
# Where pictures for guests go first; nobody in the tests writes there.
os.environ.setdefault("STORAGE_CHAT", "880000")
# Whoever runs the tests may have a demo running, too: no test talks to it.
os.environ["DEMO_FOLDER"] = os.devnull
# How long an example takes says more about the other processes than about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
# A shell starts background jobs with Ctrl-C ignored, and so would be the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Real weights where somebody gives them, else the model that is committed.
SHAPES = Path(__file__).parent.parent / "deploy" / "local" / "shapes" / "shapes_openvino_model"
os.environ.setdefault("YOLO_WEIGHTS", str(SHAPES))
django.setup()

from botsite import aws, celery, rate_limit
from deploy.local import everyday, sample
from deploy.local.processes import PATIENCE_SECONDS
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import FileReference, TelegramUser
from detection.work import dead_letters
from tests.support import browsing, descriptions, faulty, shared  # noqa: F401 - each description is read once
from tests.support.browsing import watched
from tests.support.faulty import FaultySite
from tests.support.telling_site import Site, telling_site, unread_queue

SECRETS = ("TELEGRAM_TOKEN", "RESULTS_KEY", "TELEGRAM_WEBHOOK_SECRET", "DJANGO_SECRET_KEY", "ADMIN_PASSWORD")
_chat_ids = count(1000)
# So many processes start the running service, and the files that use it are theirs: it takes 1 GB and ten seconds.
_SERVICES = 2
_USERS_OF_THE_SERVICE = "files-that-use-the-service"
_GB = 1024**3


class Scheduling(LoadFileScheduling):
    """Give the first processes the files that use the running service, and the others the rest, while there is any."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        users = self.config.cache.get(_USERS_OF_THE_SERVICE, [])
        serves = self.nodes.index(node) < _SERVICES
        first = next((file for file in self.workqueue if (file in users) == serves), None)
        if first:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes `-n auto` is: two a core, as half of the time is waiting, if there is 1 GB for each."""
    return max(1, min(2 * (os.cpu_count() or 1), psutil.virtual_memory().available // _GB))


def pytest_sessionfinish() -> None:
    """End the servers that this process started for the run, after the other processes have finished."""
    shared.leave()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Distribute the tests by files."""
    return Scheduling(config, log)


def pytest_testnodedown(node: WorkerController, error: object | None) -> None:
    """Say how a process of the tests ended that should not have: by which signal, or with which code."""
    if error:
        node.config.get_terminal_writer().line(f"\n{node.gateway.id} ended with code {node.gateway._io.wait()}")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files that take long, and whose parts are slow; the order is random otherwise."""
    uses = Counter(_file(item) for item in items if "stack" in getattr(item, "fixturenames", ()))
    items.sort(key=lambda item: (item.get_closest_marker("slow") is None, -uses[_file(item)]))
    # Each process writes the same, before the one that distributes the tests reads it.
    config.cache.set(_USERS_OF_THE_SERVICE, sorted(uses))


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def weights() -> str:
    """Return the weights that the service runs."""
    return os.environ["YOLO_WEIGHTS"]


@pytest.fixture(scope="session")
def yolox_nano() -> Path:
    """Return the network that knows everyday objects, as `make test` has fetched it."""
    network = everyday.network(settings.CACHE_DIR)
    assert everyday.is_here(network), (
        f"{network} is missing. `make test` fetches it: see what it says before the tests."
    )
    return network


@pytest.fixture(scope="session")
def photo(weights: str) -> bytes:
    """Return a JPEG with objects that the model knows."""
    return sample.choose().photo


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, weights: str) -> Iterator[LocalStack]:
    """Run the service for the whole session, and look for the bot's token in all it wrote when it ends."""
    folder = tmp_path_factory.mktemp("stack")
    # Telegram's patience is scaled, so that "again in 2 s" is "again in 0.1 s".
    stack = LocalStack(folder, weights, time_scale=0.05)
    with stack.running():
        stack.adopt("IMAGES_BUCKET", "PREDICTIONS_TABLE", "JOBS_QUEUE_URL", "RESULTS_KEY", "POLYBOT_URL")
        stack.adopt("PREDICTION_ID_KEY", "TELEGRAM_WEBHOOK_SECRET", "TELEGRAM_API_URL", "TELEGRAM_TOKEN")
        celery.reconfigure()
        yield stack
        stored = _stored(stack)
    logs = {path.name: path.read_text(errors="replace") for path in (folder / "logs").glob("*.log")}
    for secret in SECRETS:
        assert [name for name, text in (stored | logs).items() if stack.env[secret] in text] == []


@pytest.fixture(scope="session")
def faulty_site(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultySite]:
    """Run one more site, whose AWS can be broken."""
    with faulty.faulty_site(stack, tmp_path_factory.mktemp("microburst")) as site:
        yield site


@pytest.fixture
def site(faulty_site: FaultySite) -> Iterator[FaultySite]:
    """Return the site whose AWS can be broken; it is repaired afterwards."""
    yield faulty_site
    faulty_site.repair()


@pytest.fixture(scope="session")
def unread(stack: LocalStack) -> Iterator[str]:
    """Create a queue that no worker reads; return its URL."""
    with unread_queue() as url:
        yield url


@pytest.fixture(scope="session")
def telling(stack: LocalStack, unread: str) -> Iterator[Site]:
    """Run one more site, which tells people how the wait goes, and whose jobs nobody takes."""
    with telling_site(stack, unread) as site:
        yield site


@pytest.fixture
def user(stack: LocalStack) -> TelegramUser:
    """Return somebody who has not talked to the bot before; nobody counts as refused, as two chats would pause it."""
    rate_limit.forget(rate_limit.BOT)
    return TelegramUser(stack.telegram_url, next(_chat_ids))


@pytest.fixture(scope="session")
def known_file(stack: LocalStack, photo: bytes) -> FileReference:
    """Return a photo that Telegram has, for updates that a test makes itself."""
    sender = TelegramUser(stack.telegram_url, next(_chat_ids))
    sender.wait_for_reply(sender.send_photo(photo))
    sent = next(message for message in sender.messages() if not message.from_bot)
    assert sent.photo is not None
    return sent.photo


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Return the run's Chromium. It is left after each module: Playwright and asyncio exclude each other."""
    expect.set_options(timeout=1000 * PATIENCE_SECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect(shared.address("chromium", browsing.chromium))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site_address(stack: LocalStack) -> str:
    """Return the address of a site: the emulated load balancer drops the port that a browser names as the origin."""
    return next(iter(stack.sites.values()))


@pytest.fixture(scope="module")
def admin_login(browser: Browser, stack: LocalStack, site_address: str) -> StorageState:
    """Log in to the admin, and return what the browser remembers of it."""
    with watched(browser.new_page(), f"{site_address}/") as page:
        page.goto(f"{site_address}/admin/")
        page.get_by_label("Username").fill(stack.env["ADMIN_USER"])
        page.get_by_label("Password").fill(stack.env["ADMIN_PASSWORD"])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("button", name="Log out")).to_be_visible()
        return page.context.storage_state()


def _stored(stack: LocalStack) -> dict[str, str]:
    """Return all that the session left in the table, the bucket, the queues and the chats, as text by place."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=stack.env["PREDICTIONS_TABLE"])
    bucket = stack.env["IMAGES_BUCKET"]
    keys = [item["Key"] for item in aws.s3().meta.client.list_objects_v2(Bucket=bucket).get("Contents", [])]
    chats = httpx.get(f"{stack.telegram_url}/control/calls").text
    return {
        "items": json.dumps([item for page in pages for item in page["Items"]], default=repr),
        "bucket": json.dumps(keys),
        "dead letters": json.dumps([letter.body for letter in dead_letters.read()]),
        "calls": chats,
    }
