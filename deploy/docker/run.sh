#!/bin/bash
# Run the container of this machine's role in the foreground: objdet.service starts what ends.
#   /etc/objdet/role   IMAGE, PUBLISH (ports), written when the AMI was baked
#   /etc/objdet/env    the settings of the service, written by the machine's user data
set -euo pipefail

root=${DESTDIR:-} # a folder in place of /, for tests
setting() { sed -n "s/^$1=//p" "$root/etc/objdet/env" | tail -n 1; }

options=(--rm --name objdet --pull never --init --env-file "$root/etc/objdet/env"
    # It writes to its state and to /tmp, and gains no rights.
    --read-only --tmpfs /tmp --volume objdet:/srv/state --cap-drop ALL --security-opt no-new-privileges)
group=$(setting LOG_GROUP)
if [ -n "$group" ]; then
    # A log group that does not answer must not hold up the service.
    options+=(--log-driver awslogs --log-opt mode=non-blocking --log-opt "awslogs-region=$(setting AWS_REGION)"
        --log-opt "awslogs-group=$group" --log-opt "awslogs-stream=$(cat "$root/var/lib/cloud/data/instance-id")")
else
    # What it writes goes to this process's output, and so to the journal.
    options+=(--log-driver none)
fi
if [ -n "${PUBLISH:-}" ]; then
    options+=(--publish "$PUBLISH")
fi
exec docker run "${options[@]}" "$IMAGE"
