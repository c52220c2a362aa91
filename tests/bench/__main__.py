"""Measure the worker, interleaved with what it could be and what it could have been; print ratios.

    make bench                                       everything, in about eight minutes on two cores
    python -m tests.bench --rounds 1 --settings region --designs bare worker
    python -m tests.bench --sweep slots=12,16,24,32 MALLOC_ARENA_MAX=,2 OMP_NUM_THREADS=,1

Designs:

* `bare`: the model and nothing else: decode and ultralytics' `predict` in one loop, on all cores.
* `worker`: ours, started by its plain command.
* `loop`: one process, one job at a time, boto3 as it comes, the model loaded once.
* `defaults`: Celery on SQS with all of Celery's and kombu's defaults, and the loop's work. A process a core, eight
  messages held on two cores, and a look for free slots once a second make eight jobs a second at most.
* `defaults-1`: the same with one process and one message held, as one does it for long jobs and small machines.

All have the same weights, photos and machine. Settings: `emulator` is the local AWS as it is, without latency, so
that the cores decide; `region` adds what requests take in a region (S3 25 ms, DynamoDB 6 ms, SQS 8 ms) and a
callback that takes 200 ms, so that overlapping decides. Only the receives of Celery's defaults have none added: they
do not go through botocore.

Each measurement has its own process: started, warmed with three jobs, stopped with SIGSTOP while the queue is
filled, continued. jobs/s is taken between the first and the last callback, CPU and memory (PSS) from the process and
its children. A round measures each design once in each setting; tables hold the medians of rounds, and of their
ratios. What other processes use of the machine meanwhile is measured too, and said when it spoils the numbers. Single
values are in `var/bench/<time>.json`. `--sweep` measures only the worker, in all combinations of slots and environment
variables (an empty value leaves the variable unset), each against `bare` in the same round.
"""

from tests.support import tool

if __name__ == "__main__":
    tool.run("bench", __doc__)
