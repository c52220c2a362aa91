"""The decoder's process can reach nothing, holds no secret, and ends in time, by itself or not."""

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from PIL import Image

from deploy.local import sample
from detection.model import decoding
from detection.picture import image_headers
from tests.support import hostile
from tests.support.processes import wait_until

_PR_GET_DUMPABLE = 3
_ROOT = Path(__file__).parents[2]
# More chunks than libpng gets through in the CPU time that an image may take.
_SLOW = hostile.png_of_chunks(sample.bus(), b"tEXt", b"")
# Shuts itself in as the child does, then tries to get out.
_ESCAPE = """
import ctypes, os, resource, runpy, signal, socket, threading
libc = ctypes.CDLL(None, use_errno=True)
secret, parent = ctypes.create_string_buffer(8), os.getppid()
place = (ctypes.c_uint64 * 2)(ctypes.addressof(secret), 8)
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return name
child = runpy.run_path("detection/model/decoder_child.py", run_name="escape")
child["_shut_in"](libc)
thread = threading.Thread(target=print, args=("has threads",))
thread.start()
thread.join()
for escape in (
    lambda: socket.create_connection(("169.254.169.254", 80), timeout=5),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    lambda: socket.socket(socket.AF_UNIX),
    lambda: open("/proc/self/environ"),
    lambda: open("/tmp/out", "w"),
    lambda: os.pipe(),
    lambda: os.memfd_create("code"),
    os.fork,
    lambda: call("syscall", 435, None, 0),  # clone3
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.kill(parent, 0),
    lambda: call("syscall", 234, parent, parent, 0),  # tgkill, of x86-64
    lambda: call("process_vm_readv", os.getpid(), place, 1, place, 1, 0),
    lambda: call("process_vm_readv", parent, place, 1, place, 1, 0),
    lambda: call("ptrace", 16, parent, None, None),
    lambda: resource.prlimit(parent, resource.RLIMIT_CPU),
    lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    lambda: os.unlink("/tmp/out"),
    lambda: os.stat("/"),
):
    try:
        print("escaped", escape())
    except OSError as error:
        print(error.strerror)
print(sorted(os.environ))
"""


def _png(side: int = 64) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (side, side), "red").save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def decoder() -> Iterator[decoding.Decoder]:
    decoder = decoding.Decoder()
    decoder.decode(_png())
    yield decoder
    decoder.end()


def _process(decoder: decoding.Decoder) -> psutil.Process:
    assert decoder.pid
    return psutil.Process(decoder.pid)


def test_child_cannot_reach_anything() -> None:
    command = [sys.executable, "-I", "-c", _ESCAPE]
    ended = subprocess.run(command, cwd=_ROOT, env={}, capture_output=True, text=True, check=True)
    threads, *attempts, environment = ended.stdout.splitlines()
    assert threads == "has threads"
    assert attempts == ["Function not implemented"] * 19
    assert environment == "['LC_CTYPE']"  # Python's own.


def test_child_has_three_files_and_no_secret(decoder: decoding.Decoder) -> None:
    child = _process(decoder)
    assert {file.name for file in Path(f"/proc/{child.pid}/fd").iterdir()} == {"0", "1", "2"}
    assert set(child.environ()) == {"VIPS_CONCURRENCY", "MALLOC_ARENA_MAX", "VIPS_DISC_THRESHOLD"}


def test_child_limits_itself(decoder: decoding.Decoder) -> None:
    child = _process(decoder)
    assert child.rlimit(psutil.RLIMIT_NOFILE) == (0, 0)
    assert child.rlimit(psutil.RLIMIT_CORE) == (0, 0)
    assert child.memory_info().vms < child.rlimit(psutil.RLIMIT_AS)[1] < 1.2 * 2**30
    assert child.rlimit(psutil.RLIMIT_CPU)[0] <= 8 + sum(child.cpu_times()[:2])
    assert child.nice() >= 10


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGXCPU])
def test_dead_idle_child_is_replaced(decoder: decoding.Decoder, number: signal.Signals) -> None:
    child = _process(decoder)
    child.send_signal(number)
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
    assert decoder.decode(_png()).shape == (64, 64, 3)
    assert decoder.pid != child.pid


def _end_when(child: psutil.Process, busy: Callable[[], bool], number: signal.Signals) -> threading.Thread:
    """Send the signal as soon as the child is busy."""

    def end() -> None:
        wait_until(busy)
        child.send_signal(number)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT, signal.SIGXCPU])
def test_image_fatal_to_child_is_refused(decoder: decoding.Decoder, number: signal.Signals) -> None:
    child = _process(decoder)
    before = child.cpu_times().user
    ending = _end_when(child, lambda: child.cpu_times().user > before + 0.2, number)
    with pytest.raises(image_headers.UnreadableImage, match="too large or too complicated"):
        decoder.decode(_SLOW)
    ending.join()
    assert decoder.decode(_png()).shape == (64, 64, 3)


def test_child_killed_during_write_is_replaced(decoder: decoding.Decoder) -> None:
    child = _process(decoder)
    child.suspend()
    ending = _end_when(child, lambda: True, signal.SIGKILL)
    assert decoder.decode(_png() + bytes(10_000_000)).shape == (64, 64, 3)
    ending.join()
    assert decoder.pid != child.pid


def test_hanging_child_is_killed(decoder: decoding.Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_IMAGE_SECONDS", 0.5)
    child = _process(decoder)
    child.suspend()
    with pytest.raises(image_headers.UnreadableImage, match="too large or too complicated"):
        decoder.decode(_png())
    assert not child.is_running()


def test_growing_child_is_killed(decoder: decoding.Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_LARGEST_BYTES", 1)
    monkeypatch.setattr(decoding, "_IDLE_BYTES", 1)
    child = _process(decoder)
    child.suspend()
    with pytest.raises(image_headers.UnreadableImage, match="too large or too complicated") as caught:
        decoder.decode(_png())
    assert "too much memory" in str(caught.value.__cause__)
    assert not child.is_running()


def test_leaking_child_is_replaced(decoder: decoding.Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_IDLE_BYTES", 1)
    assert decoder.decode(_png()).shape == (64, 64, 3)
    assert decoder.pid is None


def test_child_ends_with_its_parent() -> None:
    program = (
        "import django, os, sys; django.setup()\n"
        "from detection.model.decoding import DECODER\n"
        "DECODER.decode(sys.stdin.buffer.read())\n"
        "print(DECODER.pid, flush=True)\n"
        "os.kill(DECODER.pid, 19)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], input=_png(), cwd=_ROOT, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    child = int(ended.stdout)
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_threads_do_not_mix_requests(decoder: decoding.Decoder) -> None:
    sides = [10 * n for n in range(1, 9)]
    shapes: dict[int, tuple[int, ...]] = {}
    threads = [
        threading.Thread(target=lambda side=side: shapes.update({side: decoder.decode(_png(side)).shape}))
        for side in sides
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shapes == {side: (side, side, 3) for side in sides}


def test_failure_to_start_decoder_blames_no_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_CHILD", Path("/nowhere.py"))
    with pytest.raises(RuntimeError, match="did not start"):
        decoding.Decoder().decode(_png())


def test_no_child_can_look_into_its_parent(decoder: decoding.Decoder) -> None:
    """Given a process without rights of its own, as in the container: this one has all of them."""
    assert ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 0
    # The child is measured all the same.
    assert decoder._child
    assert decoder._child.resident > 0


# Starts a process of its own, which an honest child doesn't.
_FORKS = """
import os, signal, sys
sys.stdout.buffer.write(bytes(9))
sys.stdout.flush()
os.fork()
signal.pause()
"""


def test_all_that_child_has_started_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(_FORKS)
    child = decoding._Child(script)
    started = wait_until(lambda: psutil.Process(child.pid).children()) or []
    child.end()
    wait_until(lambda: all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in started))
