"""`loadtest` sends photos as Telegram would, follows every answer, and reports the result."""

import io
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from PIL import Image

from botsite import aws
from deploy import provision
from deploy.certificates import self_signed
from deploy.loadtest import plan, report
from deploy.loadtest.plan import Photo
from deploy.local.stack import LocalStack
from deploy.local.telegram.client import TelegramControl
from deploy.service import Service
from detection.record import times
from detection.record.schemas import Delivery, Prediction, Status
from tests.support.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
_chats = count(700_000)
_numbers = count(1)


@dataclass
class Load:
    """Run the command against the shared stack; its report is in `folder`."""

    folder: Path
    text: str = ""

    def __call__(self, *options: str) -> dict[str, Any]:
        output = io.StringIO()
        try:
            call_command(
                "loadtest", "--interval", "0.2", "--settle", "0.2", "--out", str(self.folder), *options, stdout=output
            )
        finally:
            self.text = output.getvalue()
        return self.saved

    @property
    def saved(self) -> dict[str, Any]:
        saved: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return saved


@pytest.fixture
def load(stack: LocalStack, tmp_path: Path) -> Load:
    return Load(tmp_path / "report")


@pytest.fixture
def control(stack: LocalStack) -> Iterator[TelegramControl]:
    control = TelegramControl(stack.telegram_url)
    yield control
    control.clear_faults()


@pytest.fixture
def scaling_group(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return a group with a target of 7, and publish its metric while the test runs."""
    name, over = f"loadtest-{next(_numbers)}", threading.Event()
    monkeypatch.setattr(settings, "ASG_NAME", name)
    autoscaling, ec2 = aws.client("autoscaling"), aws.client("ec2")
    template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData={"InstanceType": "t3.micro"})
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=name,
        MinSize=0,
        MaxSize=2,
        AvailabilityZones=["us-east-1a"],
        LaunchTemplate={"LaunchTemplateId": template["LaunchTemplate"]["LaunchTemplateId"]},
    )
    metric = {"Namespace": settings.METRIC_NAMESPACE, "MetricName": "BacklogPerInstance", "Statistic": "Average"}
    metric |= {"Dimensions": [{"Name": "AutoScalingGroupName", "Value": name}]}
    autoscaling.put_scaling_policy(
        AutoScalingGroupName=name,
        PolicyName="backlog",
        PolicyType="TargetTrackingScaling",
        TargetTrackingConfiguration={"TargetValue": 7.0, "CustomizedMetricSpecification": metric},
    )
    publisher = threading.Thread(target=_publish, args=(name, over))
    publisher.start()
    yield name
    over.set()
    publisher.join()


@pytest.fixture
def self_signed_site(stack: LocalStack, tmp_path: Path) -> Iterator[str]:
    """Have Telegram call a self-signed site that accepts everything and does nothing; return its prefix."""
    pair = self_signed.make("localhost", datetime.now(UTC))
    arn = aws.client("acm").import_certificate(Certificate=pair.certificate, PrivateKey=pair.key)["CertificateArn"]
    provision.deploy(Service("selfsigned"), {"CertificateArn": arn})
    (tmp_path / "pair.pem").write_bytes(pair.certificate + pair.key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "pair.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Taker) as site:
        site.socket = tls.wrap_socket(site.socket, server_side=True)
        threading.Thread(target=site.serve_forever, daemon=True).start()
        url = f"https://localhost:{site.server_port}/telegram/webhook"
        _set_webhook(stack, url, certificate=("own.pem", pair.certificate))
        yield "selfsigned"
        site.shutdown()
    stack.set_webhook()


def test_photos_are_sent_and_every_answer_is_counted(load: Load) -> None:
    saved = load("--photos", "5", "--shape", "burst")
    counts = {name: saved["tally"][name] for name in ("photos", "sent", "answered", "lost", "doubled", "apologies")}
    assert counts == {"photos": 5, "sent": 5, "answered": 5, "lost": 0, "doubled": 0, "apologies": 0}
    assert "5 of 5 photos sent, 5 answered, 0 lost, 0 doubled." in load.text


@pytest.mark.slow
def test_each_photo_is_followed_to_its_end(load: Load) -> None:
    photos = load("--photos", "3", "--rate", "20")["photos"]
    assert len({photo["prediction_id"] for photo in photos}) == len({photo["chat_id"] for photo in photos}) == 3
    assert {(photo["status"], photo["delivery"], photo["received"]) for photo in photos} == {
        ("succeeded", "delivered", 1)
    }
    assert [photo for photo in photos if not photo["sent"] <= photo["taken"] <= photo["answered"]] == []


def test_report_is_text_json_and_plot(load: Load) -> None:
    load("--photos", "1")
    assert (load.folder / "report.txt").read_text() in load.text
    with Image.open(load.folder / "report.png") as plot:
        assert plot.info["Description"] in (load.folder / "report.txt").read_text()
    assert [sample for sample in load.saved["samples"] if sample["visible"] is None] == []


@pytest.mark.slow
def test_photos_and_chats_take_turns(load: Load, photo: bytes, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.JPEG"):
        (tmp_path / name).write_bytes(photo)
    chats = [str(next(_chats)), str(next(_chats))]
    saved = load("--photos", "4", "--rate", "50", "--folder", str(tmp_path), "--chat-ids", *chats)
    assert [str(photo["chat_id"]) for photo in saved["photos"]] == chats * 2
    assert "giving Telegram photo 2 of 2" in load.text


@pytest.mark.slow
def test_missing_answer_counts_as_lost(load: Load, control: TelegramControl) -> None:
    dead, alive = next(_chats), next(_chats)
    control.fault("sendPhoto", "server_error", chat_id=dead, times=None)
    with pytest.raises(CommandError, match=r"not as promised: 1 lost\. "):
        load("--photos", "2", "--rate", "50", "--chat-ids", str(alive), str(dead), "--timeout", "4")
    assert (load.saved["tally"]["answered"], load.saved["tally"]["lost"]) == (1, 1)


@pytest.mark.slow
def test_second_answer_counts_as_doubled(load: Load, control: TelegramControl) -> None:
    twice, once = next(_chats), next(_chats)
    control.fault("sendPhoto", "apply_then_drop", chat_id=twice)
    with pytest.raises(CommandError, match=r"not as promised: 1 doubled\. "):
        load("--photos", "2", "--rate", "50", "--chat-ids", str(once), str(twice))
    assert (load.saved["tally"]["doubled"], load.saved["tally"]["lost"]) == (1, 0)
    assert [photo["received"] for photo in load.saved["photos"]] == [1, 2]


def test_refused_photo_is_sent_again(load: Load, control: TelegramControl) -> None:
    control.fault("getFile", "server_error")
    saved = load("--photos", "1")
    assert saved["photos"][0]["posts"] == [503, 200]
    assert saved["tally"]["repeated_posts"] == 1


def test_closed_chat_is_reported_before_sending(load: Load, control: TelegramControl) -> None:
    closed = next(_chats)
    control.fault("sendChatAction", "forbidden", chat_id=closed)
    with pytest.raises(CommandError, match=f"cannot write to chat {closed}"):
        load("--photos", "1", "--chat-ids", str(closed))


def test_report_has_metric_alarms_and_group(load: Load, scaling_group: str) -> None:
    saved = load("--photos", "1")
    assert saved["target"] == 7
    assert {(sample["desired"], sample["in_service"]) for sample in saved["samples"]} == {(0, 0)}
    assert {name for sample in saved["samples"] for name in sample["alarms"]} == set(_alarms(scaling_group))
    assert ("BacklogPerInstance", 3.0) in {(point["name"], point["value"]) for point in saved["points"]}


def test_unreadable_gauge_does_not_stop_test(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ASG_NAME", "nowhere")
    saved = load("--photos", "1")
    assert {sample["desired"] for sample in saved["samples"]} == {None}
    assert [note for note in saved["notes"] if note.startswith("group missing: The Auto Scaling group")]
    assert "(missing)" in load.text


def test_until_scaled_in_needs_group(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "ASG_NAME", "nowhere")
    with pytest.raises(CommandError, match=r"no group to watch.*nowhere"):
        load("--photos", "1", "--until-scaled-in")


def test_sent_photos_are_saved_as_trace(load: Load) -> None:
    saved = load("--photos", "2", "--rate", "4")
    first, second = sorted(photo["sent"] for photo in saved["photos"])
    # Not before its time, and as late as the machine was.
    assert plan.trace(load.folder / "trace.csv") == pytest.approx([0, second - first], abs=0.01)
    assert second > 0.2


@pytest.mark.slow
def test_interrupted_test_still_reports(load: Load, control: TelegramControl, stack: LocalStack) -> None:
    command = [sys.executable, "manage.py", "loadtest", "--photos", "500", "--rate", "4", "--out", str(load.folder)]
    before = len(control.calls("sendPhoto"))
    started = subprocess.Popen(command, cwd=ROOT, env=os.environ | stack.env, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: len(control.calls("sendPhoto")) > before + 2)
    started.send_signal(signal.SIGINT)
    output, _ = started.communicate()
    assert started.returncode == 130
    assert "Interrupted: " in output
    assert 0 < load.saved["tally"]["answered"] < 500


@pytest.mark.slow
def test_self_signed_webhook_is_trusted(load: Load, self_signed_site: str) -> None:
    with pytest.raises(CommandError, match=r"not as promised: 1 lost\. "):
        load("--photos", "1", "--timeout", "10", "--prefix", self_signed_site)
    assert load.saved["photos"][0]["posts"] == [200]
    provision.deploy(Service("uncertified"))
    with pytest.raises(CommandError, match="uncertified-web has none that can be used"):
        load("--photos", "1", "--prefix", "uncertified")


class Taker(BaseHTTPRequestHandler):
    """Takes every update."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _set_webhook(stack: LocalStack, url: str, **files: Any) -> None:
    address = f"{stack.telegram_url}/bot{stack.env['TELEGRAM_TOKEN']}/setWebhook"
    httpx.post(address, data={"url": url}, files=files).raise_for_status()


BAD = {
    "rate 0": (["--rate", "0"], "'0' is not a number above 0"),
    "no photos": (["--photos", "0"], "'0' is not a whole number"),
    "half a photo": (["--photos", "2.5"], "'2.5' is not a whole number"),
    "a rate that is none": (["--rate", "nan"], "'nan' is not a number above 0"),
    "no folder": (["--folder", "{tmp}/missing"], "there is no such folder"),
    "an empty folder": (["--folder", "{tmp}"], "holds no photo"),
    "no trace": (["--trace", "{tmp}/missing.csv"], "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_are_rejected(load: Load, tmp_path: Path, name: str) -> None:
    options, said = BAD[name]
    with pytest.raises(CommandError, match=said):
        load(*(option.format(tmp=tmp_path) for option in options))


@pytest.mark.parametrize("text", ["", "seconds,photos\n", "1,2", "seconds,photos\nnow,1", "seconds,photos\n1,-2"])
def test_bad_trace_is_rejected_by_name(load: Load, tmp_path: Path, text: str) -> None:
    (tmp_path / "trace.csv").write_text(text)
    with pytest.raises(CommandError, match=r"trace\.csv"):
        load("--trace", str(tmp_path / "trace.csv"))


def test_invalid_photo_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "fake.jpg").write_text("no image")
    with pytest.raises(CommandError, match=r"fake\.jpg is no photo"):
        load("--folder", str(tmp_path))


WRONG = {
    "TELEGRAM_WEBHOOK_SECRET": ("wrong", "answers 403 .* TELEGRAM_WEBHOOK_SECRET is not the one"),
    "PREDICTIONS_TABLE": ("nowhere", "There is no table nowhere"),
    "RESULTS_KEY": ("", "lacks RESULTS_KEY"),
    "TELEGRAM_API_URL": ("http://127.0.0.1:9", "does not tell the webhook's address"),
}


@pytest.mark.parametrize("setting", WRONG)
def test_untestable_stack_is_reported(load: Load, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    value, said = WRONG[setting]
    monkeypatch.setattr(settings, setting, value)
    with pytest.raises(CommandError, match=said):
        load("--photos", "1")


def test_shapes_keep_average_rate() -> None:
    assert plan.burst(3, 5) == [0, 0, 0]
    assert plan.constant(3, 2) == [0, 0.5, 1]
    wave = plan.wave(100, 5)
    assert wave == sorted(wave)
    assert sum(5 < moment < 15 for moment in wave) == pytest.approx(82, abs=1)


def test_trace_gives_times_of_photos(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("seconds,photos\n5,2\n0.5,1\n")
    assert plan.trace(tmp_path / "trace.csv") == [0, 4.5, 4.5]


def test_clocks_are_corrected_only_as_far_as_proven() -> None:
    photos = [_photo(sent=100.0, taken=100.2, created="1970-01-01T00:01:43.100Z")]
    assert report.clock_ahead(photos) == pytest.approx(2.9)
    assert report.clock_ahead([_photo(sent=100.0, taken=105.0, created="1970-01-01T00:01:43.100Z")]) == 0


def test_unanswered_photos_are_open_when_interrupted() -> None:
    photos = [_photo(sent=1.0), _photo(sent=None)]
    counts = [
        (it.sent, it.lost, it.open) for it in (report.tally(photos, waited=True), report.tally(photos, waited=False))
    ]
    assert counts == [(1, 1, 0), (1, 0, 1)]


def test_telegram_limits_give_minimum_duration() -> None:
    assert report.floor_seconds(1, 1) == 0
    assert report.floor_seconds(300, 1) == 297
    assert report.floor_seconds(303, 303) == pytest.approx(12)


def _publish(group: str, over: threading.Event) -> None:
    """Publish 3 as the backlog per instance of a group, over and over."""
    dimensions = [{"Name": "AutoScalingGroupName", "Value": group}]
    datum = {"MetricName": "BacklogPerInstance", "Dimensions": dimensions, "Value": 3.0, "StorageResolution": 1}
    while not over.wait(0.2):
        aws.client("cloudwatch").put_metric_data(Namespace=settings.METRIC_NAMESPACE, MetricData=[datum])


def _alarms(group: str) -> list[str]:
    policies = aws.client("autoscaling").describe_policies(AutoScalingGroupName=group)["ScalingPolicies"]
    return [alarm["AlarmName"] for policy in policies for alarm in policy["Alarms"]]


def _photo(sent: float | None, taken: float | None = None, created: str = "") -> Photo:
    prediction = Prediction("id", 1, 1, "photos/id", Status.QUEUED, Delivery.PENDING, created_at=times.parse(created))
    return Photo(0, 1, 1, "id", {}, sent, taken, prediction=prediction if created else None)
