#!/usr/bin/env bash
# An existing Ray cluster whose nodes have the package installed, with its commands on their PATH: submits a run as a Ray job,
# which outlives this shell.
#   RAY_API_SERVER_ADDRESS=http://HEAD:8265 jobs/ray_job.sh preset=paper cluster=multi-node runs=/shared/runs
# Its runtime environment is this folder (files named by relative paths go along) and this shell's keys of hubs, stores and wandb;
# and a job that is stopped (ray job stop) gets the time it needs to end in order, instead of Ray's three seconds.
# A cluster that asks for a token gets the one in ~/.ray/auth_token (or RAY_AUTH_TOKEN) with RAY_AUTH_MODE=token in this shell.
# The same command again goes on with a run that was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${RAY_API_SERVER_ADDRESS:?set it to the head node, e.g. http://HEAD:8265}"
case " $* " in *" runs=/"*) ;; *) echo "Name the runs' folder on the nodes' shared disk: runs=/shared/runs" >&2; exit 2 ;; esac
PATH="$PWD/.venv/bin:$PATH"
environment=$(mktemp --suffix=.json)   # a file: what stands in a command line, every user of the machine can read
trap 'rm -f "$environment"' EXIT
python3 - > "$environment" <<'PYTHON'
import json, os
keys = {name: value for name, value in os.environ.items() if name.startswith(("HF_", "WANDB_", "AWS_", "GOOGLE_"))}
wait = {"RAY_JOB_STOP_WAIT_TIME_S": os.environ.get("RAY_JOB_STOP_WAIT_TIME_S", "45")}
print(json.dumps({"env_vars": keys | wait}))
PYTHON
ray job submit --working-dir . --runtime-env "$environment" -- rstar-math evolve cluster.address=auto "$@"
