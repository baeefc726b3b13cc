#!/usr/bin/env bash
# Computes the study from docs/study/measured.tar.gz alone.
#   numbers.sh write   into docs/study.md, between its markers, and into the figures beside this file
#   numbers.sh check   and says where docs/study.md or a figure shows something else; exit code 1 if any does
# PYTHON names the interpreter (default: .venv/bin/python).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
python=${PYTHON:-.venv/bin/python}
[[ ${1:-} == write || ${1:-} == check ]] || { sed -n '2,/^set/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2 && exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/measured" "$scratch/figures"
tar --extract --gzip --file docs/study/measured.tar.gz --directory "$scratch/measured"
cp docs/study.md "$scratch/study.md"
"$python" -m orchestrator study "$scratch/measured" --to "$scratch/study" --fill "$scratch/study.md" >/dev/null
cp "$scratch"/study/*.svg "$scratch/figures"
if [[ $1 == write ]]; then
  rm -f docs/study/*.svg
  cp "$scratch"/figures/*.svg docs/study/
  cp "$scratch/study.md" docs/study.md
  exit
fi
status=0
diff --unified=0 docs/study.md "$scratch/study.md" || status=1
for figure in "$scratch"/figures/*.svg docs/study/*.svg; do
  name=$(basename "$figure")
  cmp "docs/study/$name" "$scratch/figures/$name" || status=1
done
((status)) || echo "docs/study.md: all $(grep --count '<!-- study:' docs/study.md) tables and figures between markers are what the measured times give"
exit "$status"
