#!/bin/bash
# Run the container of this machine's role in the foreground: objdet.service starts what ends. With the argument
# `standby`, the worker next to the metric: objdet-standby.service does.
#   /etc/objdet/role   IMAGE, PUBLISH (ports), written when the AMI was baked; of the standby: /etc/objdet/standby
#   /etc/objdet/env    the settings of the service, written by the machine's user data
set -euo pipefail

root=${DESTDIR:-} # a folder in place of /, for tests
setting() { sed -n "s/^$1=//p" "$root/etc/objdet/env" | tail -n 1; }
total_mib() { awk -v name="$1:" '$1 == name { print int($2 / 1024) }' "$root/proc/meminfo"; }

# The machine keeps a fifth of its memory for itself, all swap is for the container. What takes more is killed and
# started again; without a limit the kernel would choose, and the machine might hang.
memory=$(($(total_mib MemTotal) * 4 / 5))
swap=$(total_mib SwapTotal)
name=objdet cpu_shares=1024
if [ "${1:-}" = standby ]; then
    # The metric comes first, in memory as in time: it has to be there and punctual whatever photos do.
    name=objdet-standby memory=$((memory * 2 / 3)) cpu_shares=128
elif [ "$(setting STANDBY_WORKER)" = on ]; then
    memory=$((memory / 3)) swap=0
fi

options=(--rm --name "$name" --pull never --init --env-file "$root/etc/objdet/env"
    # It writes to its state and to /tmp, and gains no rights.
    --read-only --tmpfs /tmp:size=64m --volume "$name:/srv/state" --cap-drop ALL --security-opt no-new-privileges
    --memory "${memory}m" --memory-swap "$((memory + swap))m" --cpu-shares "$cpu_shares"
    --pids-limit 512)
group=$(setting LOG_GROUP)
if [ -n "$group" ]; then
    # A log group that does not answer must not hold up the service.
    options+=(--log-driver awslogs --log-opt mode=non-blocking --log-opt "awslogs-region=$(setting AWS_REGION)"
        --log-opt "awslogs-group=$group" --log-opt "awslogs-stream=$(cat "$root/var/lib/cloud/data/instance-id")${name#objdet}")
    # Not every region looks for metrics in lines that do not say so. Docker has this since 25, which Amazon Linux 2023
    # installs; an older one would not start the container.
    docker_version=$(docker version --format '{{.Server.Version}}' || true)
    if [ "$(printf '%s\n' 25 "$docker_version" | sort --version-sort | head -n 1)" = 25 ]; then
        options+=(--log-opt awslogs-format=json/emf)
    fi
else
    # What it writes goes to this process's output, and so to the journal.
    options+=(--log-driver none)
fi
if [ -n "${PUBLISH:-}" ]; then
    options+=(--publish "$PUBLISH")
fi
exec docker run "${options[@]}" "$IMAGE"
