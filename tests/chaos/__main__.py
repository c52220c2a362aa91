"""Break everything that can break between a photo and its answer, and count the answers.

    make chaos                                  everything
    python -m tests.chaos --only 'dynamodb*'    the cells whose title matches
    python -m tests.chaos --only random --seed 7 --photos 1000 --minutes 10
    python -m tests.chaos --only hostile bodies outage limits sigterm letters

Every photo that Telegram handed over has to get exactly one answer. For a photo that can be read that is its result: an
apology counts as lost. An answer may be double only where the reply to a send was lost, by a fault or with the process
that waited for it, and then once.

Each worker and each site has the memory of its machine and no more; the first line says how that is enforced. Groups of
cells beyond one fault at a time:

    hostile*  bombs, lies and damaged files among good photos: each is answered within 30 s, nobody else waits
    bodies*   files that are all header, by the webhook; bodies of 600 MB, by anybody: a site grows by 100 MB at most
    outage    ten minutes without DynamoDB, then without S3, while photos wait: all boxed, in twice the usual time
    limits*   a busy group, and a chat that is refused for an hour: private chats do not notice
    sigterm*  the sites end while Telegram's replies are slow: nothing is sent twice
    still*    a worker, sites, the metric role stand still for longer than anybody waits (SIGSTOP), and then go on
    letters   many dead letters at once are all told; what is replayed meanwhile ends as a picture

The service runs on this machine, as in the demo, with a proxy between its roles and AWS that breaks what it is told
to. What it waits for is shortened (`tests/chaos/patience.py`), in proportion, so that a cell takes seconds: "recovered"
is from the end of the fault until all answers are there, under these shortened patiences. Groups with a star, and with
CHAOS_UNHURRIED=1 in the environment all, keep the product's own. The matrix is also in `var/chaos/matrix.json`. Exit
code 1: an answer was lost, or doubled beyond that rule, a process was killed for its memory, a cell measured too much
("broken:"), or a fault hit nothing ("void:").
"""

from tests.support import tool

if __name__ == "__main__":
    tool.run("chaos", __doc__)
