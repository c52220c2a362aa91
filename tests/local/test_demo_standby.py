"""The demo's worker on standby answers with no machine launched, comes back when killed, and leaves bursts to all."""

import json
import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from tests.support.jobs_queue import body
from tests.support.processes import wait_until
from tests.support.running_demo import GROUP, Demo, running_demo

pytestmark = pytest.mark.slow(quick="tests/metrics/test_standby.py")

# More than a worker does within the goal of 15 s at the 18 photos/s that the templates assume.
BURST = 300


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo"), "--standby") as demo:
        yield demo


@pytest.fixture
def quiet(demo: Demo, photo: bytes) -> None:
    """Wait until no machine is left of other tests, and the standby counts: one that was killed has to do a job."""
    wait_until(lambda: alone(demo))
    demo.answer(photo)
    wait_until(lambda: alone(demo) and "desired=0" in metric(demo) and "standby=True" in metric(demo))


def alone(demo: Demo) -> bool:
    """Return whether no machine is there that takes jobs: not one that the group no longer lists, either."""
    return demo.workers() == [] and demo.processes("-Q jobs -n yolo5-") == []


def metric(demo: Demo) -> str:
    """Return the newest line on what was published."""
    lines = [line for file in (demo.folder / "logs").glob("metrics-*.log") for line in file.read_text().splitlines()]
    return [line for line in lines if "metrics_published" in line][-1]


def standby(demo: Demo) -> psutil.Process:
    """Return the process of the worker on standby: the one that others come from."""
    found = demo.processes("-Q jobs -n standby")
    [parent] = [one for one in found if one.ppid() not in {each.pid for each in found}]
    return parent


def test_photo_is_answered_without_any_machine(demo: Demo, photo: bytes, quiet: None) -> None:
    before = demo.said(f"{GROUP}: 0 → 1")
    done = demo.said("job_succeeded", "standby-*")
    demo.answer(photo)
    # What it logs comes later than the answer.
    wait_until(lambda: demo.said("job_succeeded", "standby-*") == done + 1)
    assert (demo.workers(), demo.said(f"{GROUP}: 0 → 1")) == ([], before)


def test_killed_standby_comes_back_and_loses_no_photo(demo: Demo, photo: bytes, quiet: None) -> None:
    before = demo.said("starts on metrics-")
    user, started = demo.user(), demo.said("job_started", "standby-*")
    message = user.send_photo(photo)
    wait_until(lambda: demo.said("job_started", "standby-*") > started)
    os.killpg(standby(demo).pid, signal.SIGKILL)
    assert user.wait_for_reply(message).photo
    assert len([one for one in user.messages() if one.from_bot and one.photo]) == 1
    assert demo.said("starts on metrics-") == before + 1


def test_burst_launches_machines_at_once(demo: Demo, photo: bytes, quiet: None) -> None:
    # It still counts, and leaves the burst where it is.
    standby(demo).suspend()
    try:
        queue, url = demo.client("sqs"), demo.env["JOBS_QUEUE_URL"]
        unknown = {"prediction_id": "0" * 32, "image_key": "photos/none", "chat_id": 1}
        text = json.dumps(body("detection.detect", **unknown))
        for _ in range(BURST // 10):
            entries = [{"Id": str(number), "MessageBody": text} for number in range(10)]
            queue.send_message_batch(QueueUrl=url, Entries=entries)
        wait_until(lambda: demo.workers() != [])
        assert demo.said("BacklogWithoutCapacity is") >= 1
        demo.answer(photo)
        assert demo.said("job_succeeded", "yolo5-*") >= 1
    finally:
        standby(demo).resume()
