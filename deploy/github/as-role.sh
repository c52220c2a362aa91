#!/usr/bin/env bash
# Run a command with the credentials of AWS_ROLE_ARN, in a job of GitHub Actions that has `id-token: write`.
# AWS's SDKs exchange the job's token for them. It is valid for some minutes: use this for each command anew.
set -euo pipefail

file=$(mktemp)
trap 'rm -f "$file"' EXIT
curl --silent --show-error --fail --retry 3 --header @- \
    "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=sts.amazonaws.com" \
    <<<"Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" |
    python3 -c 'import json, sys; sys.stdout.write(json.load(sys.stdin)["value"])' >"$file"

export AWS_WEB_IDENTITY_TOKEN_FILE="$file" AWS_ROLE_SESSION_NAME="github-${GITHUB_RUN_ID:-by-hand}"
# The command needs no tokens of its own.
env -u ACTIONS_ID_TOKEN_REQUEST_TOKEN -u ACTIONS_ID_TOKEN_REQUEST_URL "$@"
