"""Give up everything that a child process with a stranger's file does not need (system_calls.py has the calls)."""

import ctypes
import math
import os
import resource
import runpy
import signal
import sys
from pathlib import Path

_system_calls = runpy.run_path(str(Path(__file__).with_name("system_calls.py")), run_name="system_calls")
_PR_SET_PDEATHSIG = 1


def shut_in(libc: ctypes.CDLL, address_space: int) -> None:
    """Keep what is imported and open, and allow so many bytes more; nothing else can be opened."""
    os.nice(10)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + address_space
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Libraries complain about each damaged file.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    if sys.platform == "linux":
        _system_calls["give_up"](libc)


def limit_cpu(seconds: int) -> None:
    """Allow the next file its share of CPU; beyond that the kernel kills the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
