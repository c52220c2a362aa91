"""The demo's machines start when there is work, lose none when they stop, and have no keys."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from botsite import release
from deploy.local import processes
from deploy.local.telegram.client import TelegramUser
from detection.work import callback
from tests.support.operators import Operator
from tests.support.processes import wait_until
from tests.support.running_demo import GROUP, Demo, running_demo

pytestmark = pytest.mark.slow(quick="tests/local/test_local_scaling.py")

DRAINED = "lifecycle_action_completed"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo")) as demo:
        yield demo


def test_sample_photo_starts_first_worker(demo: Demo) -> None:
    assert demo.said(f"{GROUP}: 0 → 1, BacklogWithoutCapacity is 1")


@pytest.mark.parametrize("role", ["gunicorn", "-Q metrics"])
def test_time_is_scaled_for_every_role(demo: Demo, role: str) -> None:
    found = [process.environ() for process in demo.processes(role)]
    assert {environment["METRIC_PERIOD_SECONDS"] for environment in found} == {"2"}


def test_doctor_is_green(demo: Demo) -> None:
    # Warnings don't count: a delivery may have failed while another test had ended a site. On a busy machine, a check
    # may run out of time once.
    wait_until(lambda: _failed(demo) == [], what="doctor is green")


def _failed(demo: Demo) -> list[str]:
    """Return which of doctor's checks fail; its exit code says the same."""
    ended = demo.manage("doctor")
    found = re.findall(r"^(\S+) +failed", ended.stdout, re.MULTILINE)
    assert ended.returncode == (1 if found else 0), ended.stdout
    sys.stdout.write(ended.stdout if found else "")
    return found


def test_every_site_knows_load_balancer(demo: Demo) -> None:
    url = f"{demo.env['AWS_ENDPOINT_URL']}/_alb/objdet/results?predictionId=nobody"
    headers = {callback.SIGNATURE_HEADER: callback.sign("nobody", demo.env["RESULTS_KEY"])}
    # The load balancer alternates between them; one that another test has ended answers 502 until it is replaced.
    wait_until(lambda: [httpx.get(url, headers=headers).status_code for _ in range(4)] == [404] * 4)


def test_guest_gets_picture(demo: Demo, photo: bytes) -> None:
    guest = TelegramUser(demo.env["TELEGRAM_API_URL"], -77)
    guest.leave_bot_out()
    asked = guest.send_photo(photo, caption="what is this, @object_detection_bot?")
    assert guest.wait_for_reply(asked, condition=lambda message: message.photo is not None)


def test_set_webhook_does_not_cut_bot_off(demo: Demo, photo: bytes) -> None:
    ended = demo.manage("set_webhook")
    assert ended.returncode == 0, ended.stderr
    demo.answer(photo)


@pytest.mark.parametrize("command", [["dlq", "list"], ["stack_env"], ["loadtest", "--photos", "2"]])
def test_commands_in_another_terminal_use_demo(demo: Demo, command: list[str], tmp_path: Path) -> None:
    ended = demo.manage(*command, *(["--out", str(tmp_path)] if command[0] == "loadtest" else []))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"Using the demo that is running here, at {demo.env['AWS_ENDPOINT_URL']}" in ended.stderr


def test_dashboard_shows_work_of_each_machine(demo: Demo, photo: bytes) -> None:
    demo.answer(photo)
    [site] = set(re.findall(r"(http://127\.0\.0\.\d+:\d+)/ops/", (demo.folder / "output").read_text()))
    # One that another test has killed takes a while to be replaced.
    wait_until(lambda: processes.listening(urlsplit(site).hostname or "", urlsplit(site).port or 0))
    admin = Operator(site).log_in(demo.env["ADMIN_USER"], demo.env["ADMIN_PASSWORD"])
    does = r'data-row="i-[^>]+>\s*<td data-column="Role">(\w+)</td>.*?<td data-column="Does">([^<]+)</td>.*?</tr>'

    def machines() -> set[tuple[str, str]]:
        return set(re.findall(does, admin.get("/ops/live").text, re.DOTALL))

    expected = {("polybot", "takes photos, sends answers"), ("metricStreamer", "publishes the metric, repairs")}
    wait_until(lambda: {*expected, ("yolo5", "idle")} <= machines())
    page = admin.get("/ops/live").text
    assert f'<td data-column="Version">{release.text()}</td>' in page
    wait_until(lambda: "Workers, 1 hour ago to now: in service unknown" not in admin.get("/ops/live").text)


def test_trace_follows_sample_photo(demo: Demo) -> None:
    dynamodb = demo.client("dynamodb")
    items = dynamodb.scan(TableName=demo.env["PREDICTIONS_TABLE"])["Items"]
    ids = [item["prediction_id"]["S"] for item in items if item.get("chat_id") == {"N": "42"}]
    assert "delivered" in demo.manage("trace", ids[0]).stdout


@pytest.mark.parametrize("role", ["gunicorn", "-Q jobs", "-Q metrics"])
def test_roles_have_no_keys_in_their_environment(demo: Demo, photo: bytes, role: str) -> None:
    demo.answer(photo)
    found = [process.environ() for process in demo.processes(role)]
    assert found
    keys = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"}
    assert [keys & set(environment) for environment in found] == [set()] * len(found)


def test_scale_in_under_load_neither_loses_nor_doubles_photos(demo: Demo, photo: bytes) -> None:
    demo.answer(photo)
    users, before = [demo.user() for _ in range(4)], demo.said(DRAINED, "yolo5-*")

    def keep_sending(user: TelegramUser) -> int:
        sent = 0
        while demo.said(DRAINED, "yolo5-*") == before:
            user.wait_for_reply(user.send_photo(photo))
            sent += 1
        return sent

    with ThreadPoolExecutor(len(users)) as pool:
        sending = [pool.submit(keep_sending, user) for user in users]
        wait_until(lambda: any(message.photo and message.from_bot for user in users for message in user.messages()))
        demo.client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
        sent = [one.result(90) for one in sending]
    answers = [[message for message in user.messages() if message.from_bot] for user in users]
    assert min(sent) > 0
    assert [len([one for one in found if one.photo]) for found in answers] == sent
    assert [len(found) for found in answers] == sent


def test_killed_site_is_replaced_while_other_answers(demo: Demo, photo: bytes) -> None:
    wait_until(lambda: len({process.pid for process in demo.processes("gunicorn")}) >= 2)
    # A site's master and its workers are a process group: kill all, as if the machine were gone.
    pids = {process.pid for process in demo.processes("gunicorn")}
    master = next(process for process in demo.processes("gunicorn") if process.ppid() not in pids)
    os.killpg(master.pid, signal.SIGKILL)
    demo.answer(photo)
    wait_until(lambda: demo.said("ended with code -9; replacing it"))
    assert "ended with code -9; replacing it" in demo.manage("events").stdout
