# The metricStreamer: publishes the backlog every 30 s, and mends what a crash left half done. From the top:
#   docker build -f deploy/docker/metrics.Dockerfile -t objdet-metrics .

# The Python that the tests run on, from AWS's copy of Docker's official images, which does not limit EC2's addresses.
# Tag and digest, the same as on Docker Hub, are raised together, in all three files.
FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /srv/venv
WORKDIR /srv
COPY deploy/docker/metrics.lock .
# Only what this role imports, each file by its hash; `make lock` makes the lock from metrics.txt.
RUN /srv/venv/bin/pip install --no-deps --require-hashes --requirement metrics.lock

FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
RUN useradd --system --uid 10001 --user-group --no-create-home objdet \
    && install -d -o objdet -g objdet /srv/state
COPY --from=packages /srv/venv /srv/venv
WORKDIR /srv/app
COPY manage.py ./
COPY botsite botsite
COPY detection detection
COPY metrics metrics
COPY deploy/__init__.py deploy/
# For `manage.py version`.
COPY deploy/management/__init__.py deploy/management/utility.py deploy/management/
COPY deploy/management/commands/__init__.py deploy/management/commands/version.py deploy/management/commands/
RUN python -m compileall -q .
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CACHE_DIR=/srv/state LIVENESS_FILE=/srv/state/alive
# What is inside, for whoever asks.
COPY deploy/docker/sbom.py /srv/
RUN python /srv/sbom.py metrics > /srv/sbom.json
# All that a container may write; nothing in it has to outlive the machine.
VOLUME /srv/state
# By number, so that a host need not know the name.
USER 10001:10001
# Celery then finishes what it works on, and gives the rest back to the queue.
STOPSIGNAL SIGTERM
# The worker touches the file while it hears from SQS and beat is alive (botsite/sqs/watchdog.py).
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "test -n \"$(find \"$LIVENESS_FILE\" -newermt '-60 seconds')\""]
CMD ["celery", "-A", "botsite", "worker", "-B", "-Q", "metrics"]
