"""A bake that fails or is interrupted leaves nothing."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.cfn.cloudformation import StackError
from deploy.images import bake, builder
from deploy.images.spec import BuilderPlace, ImageSpec
from deploy.service import Service
from tests.support.baking import WEB, Boot, launched, left, silent

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("broken", ["build", "kill"])
def test_failed_bake_shows_log_and_leaves_nothing(prefix: str, place: BuilderPlace, boot: Boot, broken: str) -> None:
    boot(prefix, broken)
    with pytest.raises(StackError, match=f"(?s)The builder failed while .*docker {broken}: it is broken"):
        bake.bake(Service(prefix), place, ImageSpec("yolo5", "v1"), silent)
    assert left(prefix) == ([], [], [])


@pytest.fixture
def minds_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise, as in a terminal: background processes of a shell ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("minds_interrupts")
@pytest.mark.parametrize(
    ("step", "number"),
    [
        ("uploading", signal.SIGTERM),
        ("launched", signal.SIGINT),
        ("stopping", signal.SIGINT),
        ("stopping", signal.SIGTERM),
    ],
)
def test_interrupt_at_any_step_leaves_nothing(
    prefix: str, place: BuilderPlace, boot: Boot, step: str, number: signal.Signals
) -> None:
    boot(prefix)

    def interrupt(text: str) -> None:
        if text.startswith(step):
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        bake.bake(Service(prefix), place, WEB, interrupt)
    alive, objects, images = left(prefix)
    # A terminating builder may still report; the bucket's lifecycle deletes that.
    assert (alive, [one for one in objects if not one.endswith(("/phase", "/log"))], images) == ([], [], [])


@pytest.mark.smoke
def test_self_terminated_builder_is_noticed(prefix: str, place: BuilderPlace) -> None:
    def end(text: str) -> None:
        if text.startswith("launched"):
            builder.end([launched(prefix)[0]["InstanceId"]])

    with pytest.raises(StackError, match="is terminated while booting: "):
        bake.bake(Service(prefix), place, WEB, end)
    assert left(prefix) == ([], [], [])


def test_builder_with_lost_launch_answer_is_found_by_tags(
    prefix: str, place: BuilderPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = builder.launch

    def interrupted(*arguments: Any) -> str:
        launch(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bake.bake(Service(prefix), place, WEB, silent)
    assert left(prefix) == ([], [], [])


def test_next_run_terminates_abandoned_builder(
    prefix: str, place: BuilderPlace, boot: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten = builder.launch(Service(prefix), place, WEB, "bakes/forgotten")
    assert builder.stale(Service(prefix)) == []
    monkeypatch.setattr(builder, "LIFETIME_MINUTES", -1)
    assert builder.stale(Service(prefix)) == [forgotten]
    builder.end(builder.stale(Service(prefix)))
    assert left(prefix)[0] == []
