#!/usr/bin/env bash
# One machine: sets everything up and runs (or goes on with) a run. Arguments are passed on:
#   jobs/local.sh preset=paper model=qwen2.5-math-1.5b cluster=1gpu name=mine problems.path=problems.jsonl
set -euo pipefail
cd "$(dirname "$0")/.."
make setup
exec .venv/bin/rstar-math evolve "$@"
