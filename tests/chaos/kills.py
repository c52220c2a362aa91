"""Kill -9 at every state of a photo, and what else can happen to the processes and the messages between them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from botsite import aws
from tests.chaos import faults, queues
from tests.chaos.cells import Cell, Play, Scene, wait_for, with_status, without_status
from tests.chaos.crowd import Crowd
from tests.chaos.patience import UNHURRIED

_GIVEN_UP_SECONDS = 60.0
# Ten minutes, shortened as the patiences are.
_DOWN_SECONDS = 600.0 if UNHURRIED else 60.0


def kills() -> Iterator[Cell]:
    """Yield a kill of the process that waits, before and after each of its calls has its effect."""
    for boundary, match in faults.AWS.items():
        role = "polybot" if "(site)" in boundary else "yolo5"
        for state, fault in (("before", "hang"), ("after", "reply hangs")):
            play = _kill_at(role, match | faults.FAULTS[fault], boundary in faults.OF_JUNK)
            yield Cell(f"kill {role}", f"{state} {boundary}", play)
    for method in ("sendPhoto", "sendMessage", "editMessageMedia", "editMessageText", "deleteMessage"):
        for state, effect in (("during", "slow"), ("after", "reply hangs")):
            yield Cell("kill polybot", f"{state} telegram: {method}", _kill_at_telegram(method, faults.SENDS[effect]))
    yield Cell("kill polybot", "during telegram: getFile", _kill_at_telegram("getFile", faults.SENDS["slow"]))
    yield Cell("stop polybot", "during telegram: sendPhoto", _stop_sites)
    for state, fault in (("before", "hang"), ("after", "reply hangs")):
        yield Cell("kill metrics", f"{state} dynamodb: query", _kill_sweeper(faults.QUERY | faults.FAULTS[fault]))
    yield Cell("kill metrics", "its beat alone", _kill_beat)


def others() -> Iterator[Cell]:
    """Yield what happens to all at once, to updates and to jobs."""
    yield Cell("emulator", "restart", _restart_aws)
    yield Cell("updates", "five copies at once", _copied_updates)
    yield Cell("updates", "out of order", _swapped_updates)
    yield Cell("jobs", "two workers on one message, in reverse order", _copied_jobs)
    yield Cell("jobs", "fail until they are dead letters", _dead_letters)
    yield Cell("callback (worker)", f"receiver down for {_DOWN_SECONDS:.0f} s", _receiver_down)


def _kill_at(role: str, rule: faults.Rule, junk: bool) -> Play:
    """Hold a role at a call, then kill it."""

    def play(scene: Scene, crowd: Crowd) -> None:
        scene.stack.rules([rule])
        crowd.send(scene.junk if junk else scene.photo, junk=junk)
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        scene.kill(role)

    return play


def _kill_at_telegram(method: str, rule: faults.Rule) -> Play:
    def play(scene: Scene, crowd: Crowd) -> None:
        if method == "sendPhoto":
            without_status(scene, len(crowd.users))
        fault = scene.telegram.fault(method, times=len(crowd.users), **rule)
        if method in ("editMessageMedia", "editMessageText", "deleteMessage"):
            with_status(scene, crowd, scene.photo, long=method == "deleteMessage")
        else:
            crowd.send(scene.photo)
        scene.wait_hit(lambda: scene.telegram.faults_fired(fault) > 0)
        scene.kill("polybot")

    return play


def _stop_sites(scene: Scene, crowd: Crowd) -> None:
    """Have the sites end by themselves, as at a deployment, while answers are on their way."""
    without_status(scene, len(crowd.users))
    fault = scene.telegram.fault("sendPhoto", times=len(crowd.users), **faults.SENDS["slow"])
    crowd.send(scene.photo)
    scene.wait_hit(lambda: scene.telegram.faults_fired(fault) > 0)
    scene.stack.end("polybot")


def _kill_sweeper(rule: faults.Rule) -> Play:
    """Kill the metric role while it looks for what the lost callbacks left."""

    def play(scene: Scene, crowd: Crowd) -> None:
        without_callbacks(scene, crowd)
        scene.stack.rules([rule, faults.no_callback()])
        scene.wait_hit(lambda: scene.stack.hits()[0] > 0)
        scene.kill("metrics")

    return play


def _kill_beat(scene: Scene, crowd: Crowd) -> None:
    """Kill the clock inside the metric role; without it nobody sweeps."""
    metrics = scene.stack.children.roles["metrics"].child.process.pid
    for beat in Path(f"/proc/{metrics}/task/{metrics}/children").read_text().split():
        os.kill(int(beat), signal.SIGKILL)
    without_callbacks(scene, crowd)


def without_callbacks(scene: Scene, crowd: Crowd) -> None:
    """Have the photos worked on, and the workers give up calling back."""
    count = partial(scene.stack.count, "yolo5", "callback_given_up")
    expected = count() + len(crowd.users)
    scene.stack.rules([faults.no_callback()])
    crowd.send(scene.photo)
    wait_for(lambda: count() >= expected, _GIVEN_UP_SECONDS)


def _restart_aws(scene: Scene, crowd: Crowd) -> None:
    crowd.send(scene.photo)
    scene.stack.restart_aws()


def _copied_updates(scene: Scene, crowd: Crowd) -> None:
    crowd.send(scene.photo)
    for user in crowd.users:
        for update in scene.telegram.updates(user.chat_id):
            if update.update_id:
                scene.telegram.deliver_again(update.update_id, times=5)


def _swapped_updates(scene: Scene, crowd: Crowd) -> None:
    """Hold each first photo back until the second one is delivered."""
    for user in crowd.users:
        scene.telegram.fault("webhook", "swap", chat_id=user.chat_id)
        crowd.send(scene.photo, [user, user])


def _copied_jobs(scene: Scene, crowd: Crowd) -> None:
    """Put three copies of each job into the queue, the last first, and let two workers at them."""
    scene.kill("yolo5")
    crowd.send(scene.photo)
    sqs, queue = aws.client("sqs"), scene.stack.env["JOBS_QUEUE_URL"]
    bodies: set[str] = set()

    def seen() -> bool:
        # Each is looked at once: what is received five times is a dead letter.
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=5)
        bodies.update(message["Body"] for message in found.get("Messages", []))
        return len(bodies) >= len(crowd.users)

    wait_for(seen, _GIVEN_UP_SECONDS)
    for body in [*sorted(bodies, reverse=True)] * 3:
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    second = scene.stack.start_worker()
    scene.stack.revive("yolo5")
    crowd.wait(_GIVEN_UP_SECONDS)
    second.terminate()
    second.wait()
    scene.stack.children.forget(second)


def _dead_letters(scene: Scene, crowd: Crowd) -> None:
    """Let every try fail until the sender has been told."""
    scene.stack.rules([faults.aws_rule("s3: get photo (worker)", "500")])
    with queues.few_receives():
        crowd.send(scene.photo, good=False)
        crowd.wait(_GIVEN_UP_SECONDS)


def _receiver_down(scene: Scene, crowd: Crowd) -> None:
    """Have every prediction succeed while nobody can be told."""
    count = partial(scene.stack.count, "yolo5", "job_succeeded")
    expected = count() + len(crowd.users)
    until = time.monotonic() + _DOWN_SECONDS
    scene.stack.rules([faults.CALLBACK | faults.FAULTS["reset"]])
    crowd.send(scene.photo)
    wait_for(lambda: count() >= expected, _DOWN_SECONDS)
    time.sleep(max(0.0, until - time.monotonic()))
