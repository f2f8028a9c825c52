#!/usr/bin/env bash
# One machine: sets everything up and runs (or goes on with) a run. Arguments are passed on:
#   jobs/local.sh name=mine base=Qwen/Qwen2.5-Math-1.5B model=qwen2.5-math-1.5b cluster=1gpu problems.path=problems.jsonl
set -euo pipefail
cd "$(dirname "$0")/.."
make setup
exec .venv/bin/rstar-math evolve "$@"
