"""The demo's warm pool: prepared machines answer, are killed without losing a photo, and go back to sleep."""

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.processes import wait_until
from tests.support.running_demo import GROUP, Demo, running_demo

pytestmark = pytest.mark.slow(quick="tests/local/test_local_pool.py")

WORKER = "-Q jobs"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), "--warm-machines", "1") as demo:
        # On a slow machine, photos would make a second one worth launching.
        resize(demo, MaxSize=1)
        yield demo


def resize(demo: Demo, **sizes: int) -> None:
    """Give the group of workers other sizes."""
    demo.client("autoscaling").update_auto_scaling_group(AutoScalingGroupName=GROUP, **sizes)


def pool(demo: Demo) -> list[str]:
    """Return the ids of the machines in the pool."""
    found = demo.client("autoscaling").describe_warm_pool(AutoScalingGroupName=GROUP)
    return [one["InstanceId"] for one in found["Instances"]]


def test_prepared_machine_answers_sample_photo(demo: Demo) -> None:
    assert demo.said("is stopped in the pool") >= 1
    assert demo.said("starts from the pool") >= 1
    assert demo.said("machine_waiting", "yolo5-*") == 1


def test_killed_pool_machine_loses_no_photo(demo: Demo, photo: bytes) -> None:
    demo.answer(photo)
    users = [demo.user() for _ in range(4)]
    before = demo.said("job_started", "yolo5-*")
    sent = [(user, user.send_photo(photo)) for user in users for _ in range(3)]
    wait_until(lambda: demo.said("job_started", "yolo5-*") > before)
    for process in demo.processes(WORKER):
        if process.ppid() not in {one.pid for one in demo.processes(WORKER)}:
            os.killpg(process.pid, signal.SIGKILL)
    for user, message_id in sent:
        assert user.wait_for_reply(message_id).photo
    assert demo.said("ended with code -9; replacing it") >= 1
    answers = [message for user in users for message in user.messages() if message.from_bot and message.photo]
    assert len(answers) == len(sent)


def test_machine_goes_back_to_sleep_and_wakes_for_next_photo(demo: Demo, photo: bytes) -> None:
    demo.answer(photo)
    [only] = demo.workers()
    stopped = demo.said("is stopped in the pool")
    # No room for a machine: what the photo left in the metrics would wake it at once.
    resize(demo, MaxSize=0, DesiredCapacity=0)
    wait_until(lambda: demo.said("is stopped in the pool") > stopped)
    assert (demo.workers(), pool(demo), demo.processes(WORKER)) == ([], [only], [])
    resize(demo, MaxSize=1)
    demo.answer(photo)
    assert demo.workers() == [only]
