#!/usr/bin/env bash
# Measures the study of docs/study.md on four hosts that share this machine, and packs what was measured. Root, Linux.
# Arguments go to the orchestrator: measure.sh measurement.repeat=1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
results=results/study/$(date -u +%Y-%m-%dT%H-%M-%S)
# All four hosts are one machine, so that one process measures at a time.
HOSTS="two-cores one-core three-quarters half-core" cluster/demo/run.sh \
  +sweep=paper_small cluster.machines=boot_id "results_dir=$results" "$@"
docs/study/pack.sh "$results"
