"""`bake_ami` prints the image, plans without doing, and rejects wrong options."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from deploy.images import ami, builder, spec
from deploy.images.spec import BuilderPlace
from deploy.service import Service
from tests.support.baking import WEB, Boot, an_image, left


@pytest.fixture
def run(place: BuilderPlace, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return a function that runs `bake_ami` and returns its output."""
    monkeypatch.setattr(spec, "place", lambda service: place)

    def command(*arguments: str) -> str:
        output = io.StringIO()
        call_command("bake_ami", *arguments, "--prefix", prefix, stdout=output)
        return output.getvalue()

    return command


@pytest.mark.slow
def test_command_prints_image_and_next_step(run: Callable[..., str], prefix: str, boot: Boot) -> None:
    boot(prefix)
    lines = run("polybot", "--image", WEB.image, "--version", "v7").splitlines()
    made = ami.newest(Service(prefix), "polybot")
    assert made is not None
    assert lines[-2:] == [
        f"{made.id} is polybot v7. To start new instances from it, run:",
        f"  python manage.py provision --prefix {prefix}",
    ]


def test_bake_plan_does_nothing(run: Callable[..., str], prefix: str, place: BuilderPlace) -> None:
    current, *_ = [an_image(prefix, "v1")]
    lines = run("yolo5", "--plan", "--version", "v2", "--keep", "1").splitlines()
    assert lines == [
        f"builder: t3.medium from {builder.base_image()} in {place.subnet}",
        "container: built from this checkout, v2",
        f"newest image now: {current.id} (v1)",
        f"would remove {current.id} ({current.name})",
    ]
    assert left(prefix) == ([], [], [current])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["web"], "'web' is no role: the roles are polybot"),
        (["polybot", "--weights", "x.pt"], "--weights is only for yolo5"),
        (
            ["yolo5", "--weights", "nothing.pt"],
            r"--weights nothing.pt is neither a .pt file nor a folder NAME_openvino",
        ),
        (["yolo5", "--weights-sha256", "0" * 64], "--weights-sha256 is for --weights FILE.pt"),
        (["yolo5", "--keep", "0"], "--keep must be at least 1"),
        (["yolo5", "--version", "v 1"], "--version 'v 1' can't be a container tag"),
    ],
)
def test_invalid_bake_options_are_rejected(run: Callable[..., str], arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)


def test_weights_with_another_checksum_are_not_baked(run: Callable[..., str], tmp_path: Path) -> None:
    (file := tmp_path / "own.pt").write_bytes(b"weights")
    with pytest.raises(CommandError, match=r"and not 0000.*nothing was baked"):
        run("yolo5", "--weights", str(file), "--weights-sha256", "0" * 64)


@pytest.mark.slow
def test_interrupted_bake_reports_nothing_left(
    run: Callable[..., str], prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "follow", interrupt)
    with pytest.raises(CommandError, match="The builder is terminated, and no image was made"):
        run("polybot", "--image", WEB.image)
    assert left(prefix) == ([], [], [])
