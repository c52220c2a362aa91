# The worker: a photo from the queue, its objects, a boxed photo. From the top of the repository:
#   docker build -f deploy/docker/yolo5.Dockerfile -t objdet-yolo5 .
# Another model: `--build-arg MODEL=yolo11s`, or one's own in deploy/docker/weights (see the README there).
ARG MODEL=yolo11n
# What NAME.pt must have; empty for those that ultralytics publishes (detection/model/checksums.py).
ARG WEIGHTS_SHA256=

# The Python that the tests run on, from AWS's copy of Docker's official images, which does not limit EC2's addresses.
# Tag and digest, the same as on Docker Hub, are raised together, in all three files.
FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /srv/venv
WORKDIR /srv
COPY deploy/docker/yolo5.lock .
# Only what this role imports, each file by its hash; `make lock` makes the lock from yolo5.txt.
RUN /srv/venv/bin/pip install --no-deps --require-hashes --requirement yolo5.lock
# What ReadText=on takes: 28 MB.
COPY requirements-text.lock .
RUN /srv/venv/bin/pip install --no-deps --require-hashes --requirement requirements-text.lock

# PyTorch and ultralytics export a .pt file, and stay behind in this stage: an export runs on OpenVINO alone.
FROM packages AS export
ARG MODEL
ARG WEIGHTS_SHA256
COPY requirements-torch.lock deploy/docker/torch.txt ./
COPY deploy/docker/weights /srv/cache/weights
# What is exported already needs neither. PyTorch's CPU build has 160 MB; what the package index serves for Linux is the
# CUDA build, 3 GB.
RUN if [ ! -d "/srv/cache/weights/${MODEL}_openvino_model" ]; then \
        /srv/venv/bin/pip install --no-deps --require-hashes --index-url https://download.pytorch.org/whl/cpu \
            --requirement torch.txt \
        && /srv/venv/bin/pip install --no-deps --require-hashes --requirement requirements-torch.lock; \
    fi
WORKDIR /srv/app
COPY manage.py ./
COPY botsite botsite
COPY detection detection
COPY metrics metrics
COPY deploy/__init__.py deploy/
COPY deploy/management deploy/management
ENV CACHE_DIR=/srv/cache
# An exported model as it is; a .pt file, from here or from where ultralytics publishes its own, exported to OpenVINO.
# Either is compiled for this CPU. A machine with another one compiles it again, when it starts.
RUN given="/srv/cache/weights/${MODEL}_openvino_model" && mkdir -p /srv/models /srv/cache/compiled \
    && if [ -d "$given" ]; then \
        /srv/venv/bin/python manage.py export_weights --weights "$given"; \
    else \
        /srv/venv/bin/python manage.py export_weights --weights "$MODEL.pt" --sha256 "$WEIGHTS_SHA256" \
        && mv /srv/cache/weights/"$MODEL"-*_openvino_model "$given"; \
    fi \
    && mv "$given" /srv/models/

FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
ARG MODEL
RUN useradd --system --uid 10001 --user-group --no-create-home objdet \
    && install -d -o objdet -g objdet /srv/state
COPY --from=packages /srv/venv /srv/venv
COPY --from=export /srv/models /srv/models
# A new volume begins with what the image has in its place.
COPY --from=export --chown=10001:10001 /srv/cache/compiled /srv/state/compiled
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
    CACHE_DIR=/srv/state LIVENESS_FILE=/srv/state/alive YOLO_WEIGHTS=/srv/models/${MODEL}_openvino_model
# What is inside, for whoever asks.
COPY deploy/docker/sbom.py /srv/
RUN python /srv/sbom.py yolo5 > /srv/sbom.json
# All that a container may write; nothing in it has to outlive the machine.
VOLUME /srv/state
# By number, so that a host need not know the name.
USER 10001:10001
# Celery then finishes the photos it works on, for up to 15 minutes, and gives the rest back to the queue.
STOPSIGNAL SIGTERM
# The worker touches the file while it hears from SQS and no photo takes too long (botsite/sqs/watchdog.py).
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["sh", "-c", "test -n \"$(find \"$LIVENESS_FILE\" -newermt '-60 seconds')\""]
CMD ["celery", "-A", "botsite", "worker", "-Q", "jobs"]
