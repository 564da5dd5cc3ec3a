#!/bin/sh
# Pause the work pool and wait until no run is at work: drain.sh SECONDS. Ends with 1 where some still are; they are then cut off, and
# the next run finishes what they left.
PATH="$(dirname "$0")/../.venv/bin:$PATH"
prefect work-pool pause nightglass || exit 1
until=$(($(date +%s) + ${1:-600}))
while prefect flow-run ls --state-type RUNNING --limit 1 | grep -q "[0-9a-f]\{8\}-"; do
    [ "$(date +%s)" -lt "$until" ] || exit 1
    sleep 5
done
