#!/usr/bin/env bash
# An existing Ray cluster whose nodes have the package installed: submits a run as a Ray job, which outlives this shell.
#   RAY_API_SERVER_ADDRESS=http://HEAD:8265 jobs/ray_job.sh preset=paper cluster=multi-node runs=/shared/runs
# A cluster that asks for a token gets the one in ~/.ray/auth_token (or RAY_AUTH_TOKEN) with RAY_AUTH_MODE=token in this shell.
# The same command again goes on with a run that was stopped.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${RAY_API_SERVER_ADDRESS:?set it to the head node, e.g. http://HEAD:8265}"
exec ray job submit --working-dir . -- rstar-math evolve cluster.address=auto "$@"
