# Turn this machine into the image of a role: install its container, prove that it is healthy, clean up.
# User data of the builder, run as root by cloud-init. deploy/images/builder.py puts the variables before it:
#   ROLE VERSION AWS_REGION BUCKET FOLDER QUEUE_URL IMAGE MODEL WEIGHTS_SHA256 PUBLISH STOP_SECONDS
#   UNIT_STOP_SECONDS SWAP_MIB LIFETIME_MINUTES STANDBY (on or off) STANDBY_STOP_SECONDS STANDBY_UNIT_STOP_SECONDS
# What it does is told through objects below s3://BUCKET/FOLDER/, which the caller reads: `phase`, a list of what
# each container holds, and `log` at the end.
# shellcheck shell=bash
set -euo pipefail
export AWS_REGION AWS_DEFAULT_REGION=$AWS_REGION DOCKER_BUILDKIT=1

root=${DESTDIR:-} # a folder in place of /, for tests
log=$root/var/log/objdet-bake.log
name=objdet-$ROLE:$VERSION
standby=objdet-yolo5:$VERSION
mkdir -p "$root/var/log" "$root/etc/objdet" "$root/etc/systemd/system" "$root/usr/local/bin"
exec >>"$log" 2>&1

say() {
    echo "== $1"
    printf '%s' "$1" | aws s3 cp --only-show-errors - "s3://$BUCKET/$FOLDER/phase"
}

finish() {
    code=$?
    if [ "$code" -ne 0 ]; then
        journalctl --no-pager --lines 60 --unit 'objdet*' || true
        tail -c 20000 "$log" | aws s3 cp --only-show-errors - "s3://$BUCKET/$FOLDER/log" || true
        say failed || true
        # If not even that could be told, the end of the machine tells it.
        shutdown --no-wall -h now
    fi
}
trap finish EXIT

# If nobody is left to terminate this machine, it ends itself.
shutdown --no-wall -h "+$LIFETIME_MINUTES"

say "installing docker"
dnf --quiet --assumeyes install docker
dnf --quiet clean all
systemctl enable --now docker

if [ "$SWAP_MIB" -gt 0 ]; then
    say "making a swap file"
    # Not written, so it adds nothing to the image.
    install -m 600 /dev/null "$root/swapfile"
    fallocate --length "${SWAP_MIB}MiB" "$root/swapfile"
    mkswap "$root/swapfile"
    swapon "$root/swapfile"
    echo "/swapfile none swap defaults 0 0" >>"$root/etc/fstab"
fi

say "fetching the source"
source=$root/var/tmp/objdet
mkdir -p "$source"
aws s3 cp --only-show-errors "s3://$BUCKET/$FOLDER/source.tar.gz" - | tar -xz -C "$source"

# Build the container of a role from the source, and give it this name.
build() {
    say "building the container"
    docker build --progress plain --build-arg "MODEL=$MODEL" --build-arg "WEIGHTS_SHA256=$WEIGHTS_SHA256" \
        --tag "$2" --file "$source/deploy/docker/$1.Dockerfile" "$source"
    docker builder prune --all --force >/dev/null
}

if [ -n "$IMAGE" ]; then
    say "pulling $IMAGE"
    case $IMAGE in
    *.dkr.ecr.*)
        aws ecr get-login-password | docker login --username AWS --password-stdin "${IMAGE%%/*}"
        ;;
    esac
    docker pull --quiet "$IMAGE"
    docker tag "$IMAGE" "$name"
    # The login is good for hours, and does not belong on an AMI.
    rm -rf "$root/root/.docker"
else
    build "$ROLE" "$name"
fi
if [ "$STANDBY" = on ]; then
    build yolo5 "$standby"
fi

say "starting the container"
install -m 0755 "$source/deploy/docker/run.sh" "$root/usr/local/bin/objdet-run"
# Install a unit whose file of settings has this name, with its image, ports and times to stop.
unit() {
    install -m 0644 "$source/deploy/docker/$1.service" "$root/etc/systemd/system/$1.service"
    mkdir -p "$root/etc/systemd/system/$1.service.d"
    printf '[Service]\nTimeoutStopSec=%s\n' "$6" >"$root/etc/systemd/system/$1.service.d/role.conf"
    printf 'IMAGE=%s\nPUBLISH=%s\nSTOP_SECONDS=%s\n' "$3" "$4" "$5" >"$root/etc/objdet/$2"
}
unit objdet role "$name" "$PUBLISH" "$STOP_SECONDS" "$UNIT_STOP_SECONDS"
units=(objdet.service) volumes=(objdet)
if [ "$STANDBY" = on ]; then
    unit objdet-standby standby "$standby" "" "$STANDBY_STOP_SECONDS" "$STANDBY_UNIT_STOP_SECONDS"
    units+=(objdet-standby.service) volumes+=(objdet-standby)
fi
# Enough to be well, and no more: a queue of its own to listen to, and names of things that this machine may not touch.
random=$(head -c 32 /dev/urandom | sha256sum | cut -c 1-64)
(
    umask 077
    cat >"$root/etc/objdet/env" <<END
AWS_REGION=$AWS_REGION
JOBS_QUEUE_URL=$QUEUE_URL
METRICS_QUEUE_URL=$QUEUE_URL
IMAGES_BUCKET=$BUCKET
PREDICTIONS_TABLE=none
STANDBY_WORKER=$STANDBY
ASG_NAME=none
POLYBOT_URL=http://127.0.0.1:8000
TELEGRAM_TOKEN_SECRET=none
TELEGRAM_WEBHOOK_SECRET=$random
RESULTS_KEY=$random
DJANGO_SECRET_KEY=$random
END
)
systemctl daemon-reload
systemctl enable "${units[@]}"
systemctl start "${units[@]}"

# Wait up to five minutes for a healthy container other than the one given, of the name given; print its id.
healthy() {
    for _ in $(seq 150); do
        state=$(docker inspect --format '{{.Id}} {{.State.Health.Status}}' "${2:-objdet}" 2>/dev/null || true)
        if [ "${state#* }" = healthy ] && [ "${state% *}" != "$1" ]; then
            echo "${state% *}"
            return
        fi
        sleep 2
    done
    echo "the container is not healthy after five minutes: ${state:-there is none}" >&2
    return 1
}

say "waiting for the container to be healthy"
first=$(healthy none)
say "killing the container, to see it come back"
docker kill objdet >/dev/null
healthy "$first" >/dev/null
if [ "$STANDBY" = on ]; then
    say "waiting for the worker on standby to be healthy"
    healthy none objdet-standby >/dev/null
fi

say "listing what is inside"
for container in "${units[@]%.service}"; do
    if docker exec "$container" cat /srv/sbom.json >"$source/sbom.json"; then
        aws s3 cp --only-show-errors - "s3://$BUCKET/$FOLDER/$container.json" <"$source/sbom.json"
    else
        echo "the container $container has no /srv/sbom.json"
    fi
done

say "tidying up"
systemctl stop "${units[@]}"
docker volume rm "${volumes[@]}" >/dev/null
rm -rf "$root/etc/objdet/env" "$source" "$root/root/.docker"
# Every machine made from this one shall be somebody else.
: >"$root/etc/machine-id"
sync
say ready
