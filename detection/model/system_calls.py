"""Give up all system calls but those of decoding, by seccomp (Documentation/userspace-api/seccomp_filter.rst of Linux).

The process can still compute, take memory, start threads and use the files it has open. All else fails with ENOSYS,
which makes glibc start threads by `clone`, whose flags can be seen here, and not by `clone3`. A filter this small is
written by hand: the bindings of libseccomp on PyPI need its library in the image, or have been left alone since 2021.
"""

import ctypes
import os
import struct
from typing import NamedTuple

_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
# Where the kernel puts what a filter looks at: the call, the architecture, the lower half of the first argument.
_CALL, _ARCHITECTURE, _ARGUMENT = 0, 4, 16
_ALLOW, _NO_SUCH_CALL, _KILL = 0x7FFF0000, 0x00050000 | 38, 0x80000000
_PR_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1
_CLONE_THREAD = 0x10000


class _Numbers(NamedTuple):
    """How an architecture numbers its calls. `free` may have any arguments."""

    architecture: int
    seccomp: int
    clone: int
    prlimit: int
    free: tuple[int, ...]


# read, write, readv, writev, close, lseek, fstat; mmap, mprotect, munmap, brk, mremap, madvise; rt_sigaction,
# rt_sigprocmask, rt_sigreturn, sigaltstack, restart_syscall; futex, set_robust_list, rseq, sched_yield,
# sched_getaffinity; nanosleep, clock_nanosleep, clock_gettime, getrandom; getpid, gettid, getrusage; exit, exit_group.
_MACHINES = {
    "x86_64": _Numbers(
        0xC000003E, seccomp=317, clone=56, prlimit=302,
        free=(0, 1, 19, 20, 3, 8, 5, 9, 10, 11, 12, 25, 28, 13, 14, 15, 131, 219, 202, 273, 334, 24, 204, 35, 230, 228,
              318, 39, 186, 98, 60, 231),
    ),
    "aarch64": _Numbers(
        0xC00000B7, seccomp=277, clone=220, prlimit=261,
        free=(63, 64, 65, 66, 57, 62, 80, 222, 226, 215, 214, 216, 233, 134, 135, 139, 132, 128, 98, 99, 293, 124, 123,
              101, 115, 113, 278, 172, 178, 165, 93, 94),
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def give_up(libc: ctypes.CDLL) -> None:
    """Install the filter for all threads of this process, for good; do nothing on an unknown architecture."""
    numbers = _MACHINES.get(os.uname().machine)
    if numbers is None:
        return
    code = _code(numbers)
    program = _Program(len(code) // _INSTRUCTION.size, code)
    zero = ctypes.c_ulong(0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero)
    if libc.syscall(numbers.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)):
        raise OSError("the kernel takes no seccomp filter")


def _code(numbers: _Numbers) -> bytes:
    """Return the filter: threads may be started but no processes, and limits be set but not those of others."""
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NO_SUCH_CALL)
    lines = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, numbers.architecture), (_RETURN, 0, 0, _KILL)]
    lines.append((_LOAD, 0, 0, _CALL))
    for call in numbers.free:
        lines += [(_EQUAL, 0, 1, call), allow]
    for call, test, value in ((numbers.clone, _ANY_BIT, _CLONE_THREAD), (numbers.prlimit, _EQUAL, 0)):
        lines += [(_EQUAL, 0, 4, call), (_LOAD, 0, 0, _ARGUMENT), (test, 0, 1, value), allow, refuse]
    return b"".join(_INSTRUCTION.pack(*line) for line in [*lines, refuse])
