"""From a wrong release to the one before while people send photos: nothing is lost or answered twice."""

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from botsite import aws
from botsite.roles import YOLO5
from deploy import provision
from deploy.local import roles
from deploy.local.autoscaling.instances import Instance
from deploy.local.processes import Child
from deploy.local.scaled_stack import ScaledStack
from deploy.local.stack import SERVICE
from detection.record.schemas import Delivery
from tests.support import emulators, local_images, operating
from tests.support.processes import wait_until
from tests.upgrade.people import People

pytestmark = pytest.mark.slow(quick="tests/operate/test_rollback.py")

ROOT = Path(__file__).parents[2]
SOURCE = ("botsite", "deploy", "detection", "metrics", "manage.py")
# What an operator is promised (deploy/operating.md).
OPERATOR_SECONDS = 60


@dataclass
class ReleasedStack(ScaledStack):
    """The service whose workers run the code that their image names."""

    # Image id -> the folder of its code.
    releases: dict[str, Path] = field(default_factory=dict)

    def provision(self) -> None:
        """Have an image before the stacks need one."""
        self.releases[local_images.register(SERVICE, "yolo5", "1.0")] = ROOT
        super().provision()

    def _start_worker(self, instance: Instance) -> Child:
        command = ["env", "-C", str(self.releases[instance.image_id]), *roles.celery(YOLO5, instance.name)]
        return self.children.start(instance.name, command, self._env(instance))

    def running_images(self) -> set[str]:
        """Return the images of the workers that have not ended yet."""
        return {one.image_id for one in self.autoscaling.fleets[self.env["ASG_NAME"]].running}

    def raised(self) -> bool:
        """Return whether the wrong release has failed with a photo."""
        return any("the wrong release" in path.read_text() for path in (self.folder / "logs").glob("yolo5-*.log"))


@pytest.fixture
def stack(tmp_path: Path, weights: str) -> Iterator[ReleasedStack]:
    """The service under its Auto Scaling groups, with Telegram's patience scaled."""
    stack = ReleasedStack(tmp_path / "stack", weights, time_scale=0.05)
    with emulators.put_back(), stack.running():
        stack.adopt("IMAGES_BUCKET", "PREDICTIONS_TABLE", "JOBS_QUEUE_URL")
        yield stack


def wrong_release(folder: Path) -> Path:
    """Return the folder of a release whose worker starts well, and then fails with each photo."""
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    tasks = folder / "detection" / "work" / "tasks.py"
    text = tasks.read_text()
    before = "    if not predictions.possible(prediction_id):\n"
    assert before in text
    tasks.write_text(text.replace(before, f'    raise RuntimeError("the wrong release")\n{before}', 1))
    return folder


def unrecorded() -> int:
    """Return how many photos are not known to be answered: those could be answered once more."""
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=SERVICE.setting("PREDICTIONS_TABLE"))
    found: list[Mapping[str, str]] = [
        item["delivery"] for page in pages for item in page["Items"] if "delivery" in item
    ]
    return sum(one["S"] != Delivery.DELIVERED for one in found)


def test_wrong_release_is_rolled_back_without_loss(stack: ReleasedStack, photo: bytes, tmp_path: Path) -> None:
    """With `-s` it prints how long it took."""
    people = People(stack.telegram_url, photo)
    with people.sending():
        wait_until(lambda: people.waiting() < len(people.sent) - 3)
        wrong = local_images.register(SERVICE, "yolo5", "1.1")
        stack.releases[wrong] = wrong_release(tmp_path / "wrong")
        provision.deploy(SERVICE)
        provision.roll_out(SERVICE, lambda text: None)
        wait_until(lambda: stack.running_images() == {wrong})
        wait_until(lambda: people.waiting() > 5 and stack.raised())
        begun = time.monotonic()
        done = operating.manage("rollback", "yolo5", "--yes", env=operating.of(stack))
        took = time.monotonic() - begun
        assert done.returncode == 0, done.stderr
        wait_until(lambda: wrong not in stack.running_images())
        gone = time.monotonic() - begun
        before = len(people.sent)
        wait_until(lambda: len(people.sent) > before + 5)
    wait_until(lambda: not (people.waiting() or unrecorded()))
    sys.stdout.write(f"command {took:.1f} s, wrong workers gone {gone:.1f} s, {len(people.sent)} photos\n")
    assert [one.answers() for one in people.sent if one.answers() != [True]] == []
    assert took < OPERATOR_SECONDS
