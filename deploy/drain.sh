#!/bin/sh
# Pause the work pool and wait for its runs to end: drain.sh [SECONDS]
# Exits with 1 if some are still running; they are then killed, and the next run resumes their work.
PATH="$(dirname "$0")/../.venv/bin:$PATH"
prefect work-pool pause nightglass || exit 1
until=$(($(date +%s) + ${1:-600}))
while prefect flow-run ls --state-type RUNNING --limit 1 | grep -q "[0-9a-f]\{8\}-"; do
    [ "$(date +%s)" -lt "$until" ] || exit 1
    sleep 5
done
