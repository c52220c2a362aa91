"""Measure the worker, interleaved with what it could be and what it could have been; print ratios.

    make bench                                       everything, in about eight minutes on two cores
    python -m tests.bench --rounds 1 --settings region --designs bare worker
    python -m tests.bench --sweep slots=12,16,24,32 MALLOC_ARENA_MAX=,2 OMP_NUM_THREADS=,1

Designs:

* `bare`: the model and nothing else, decode + predict in one loop. Nothing can be faster by much.
* `worker`: ours, started by its plain command.
* `loop`: one process, one job at a time, boto3 as it comes, the model loaded once.
* `defaults`: Celery on SQS with all of Celery's and kombu's defaults (prefork, a process a core, looking for a free
  slot once a second) and the loop's work.

All have the same weights, photos and machine. Settings: `emulator` is the local AWS as it is, without latency, so
that the cores decide; `region` adds what requests take in a region (S3 25 ms, DynamoDB 6 ms, SQS 8 ms) and a
callback that takes 200 ms, so that overlapping decides. Only receives of `defaults` have none added: they do not go
through botocore.

Each measurement has its own process: started, warmed with three jobs, stopped with SIGSTOP while the queue is
filled, continued. jobs/s is taken between the first and the last callback, CPU and memory (PSS) from the process and
its children. A round measures each design once in each setting; tables hold the medians of rounds, and of their
ratios. Single values are in `var/bench/<time>.json`. `--sweep` measures only the worker, in all combinations of
slots and environment variables (an empty value leaves the variable unset), each against `bare` in the same round.
"""

import os

import django


def main() -> None:
    """Set Django up, then do what the command line asks for."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "botsite.settings")
    os.environ.setdefault("LOG_FORMAT", "json")
    django.setup()
    # What this imports needs Django.
    from . import command

    command.run(__doc__ or "")


if __name__ == "__main__":
    main()
