# The site: Telegram's webhook, /results and the admin. From the top of the repository:
#   docker build -f deploy/docker/polybot.Dockerfile -t objdet-polybot .

# The Python that the tests run on, from AWS's copy of Docker's official images, which does not limit EC2's addresses.
# Tag and digest, the same as on Docker Hub, are raised together, in all three files.
FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3 AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /srv/venv
WORKDIR /srv
COPY deploy/docker/polybot.lock .
# Only what this role imports, each file by its hash; `make lock` makes the lock from polybot.txt.
RUN /srv/venv/bin/pip install --no-deps --require-hashes --requirement polybot.lock

FROM public.ecr.aws/docker/library/python:3.11.15-slim-bookworm@sha256:d29f48a31a8b408ed19272ca1e7b10ebae13b240a27e862d3d4217c528e2e0c3
RUN useradd --system --uid 10001 --user-group --no-create-home objdet \
    && install -d -o objdet -g objdet /srv/state
COPY --from=packages /srv/venv /srv/venv
WORKDIR /srv/app
COPY manage.py ./
COPY botsite botsite
COPY detection detection
COPY metrics metrics
COPY deploy/__init__.py deploy/gunicorn.conf.py deploy/
# For `manage.py version`.
COPY deploy/management/__init__.py deploy/management/utility.py deploy/management/
COPY deploy/management/commands/__init__.py deploy/management/commands/version.py deploy/management/commands/
RUN python -m compileall -q .
ENV PATH=/srv/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CACHE_DIR=/srv/state DATABASE_URL=sqlite:////srv/state/db.sqlite3
# What is inside, for whoever asks.
COPY deploy/docker/sbom.py /srv/
RUN python /srv/sbom.py polybot > /srv/sbom.json
# All that a container may write; nothing in it has to outlive the machine.
VOLUME /srv/state
# By number, so that a host need not know the name.
USER 10001:10001
EXPOSE 8000
# gunicorn then takes no new connection and finishes what it has begun (graceful_timeout).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "botsite.asgi:application"]
