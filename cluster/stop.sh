#!/usr/bin/env bash
# Ends what start_head.sh and start_node.sh started on this host, and nothing else.
set -euo pipefail
# shellcheck source=state.sh
source "$(dirname "${BASH_SOURCE[0]}")/state.sh"

HELP="usage: stop.sh [--node-ip IP] [--list]

Ends the Ray nodes that start_head.sh and start_node.sh of this user started on this host, each by its recorded process, and removes
their files. Any other Ray on this host stays.

  --node-ip IP  only the node with this address
  --list        say what is up and end nothing
  -h, --help    print this"

only='' list=no
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help) echo "$HELP" && exit ;;
    --list) list=yes && shift ;;
    --node-ip) [[ $# -ge 2 ]] || die "--node-ip needs a value; see --help" && only=$2 && shift 2 ;;
    *) die "$1: there is no such option; see --help" ;;
  esac
done
open_state
found=no
# The head last: nodes that have lost it take long to end.
mapfile -t nodes < <(grep -sL '^head' "$STATE"/*/about)
mapfile -t heads < <(grep -sl '^head' "$STATE"/*/about)
for folder in "${nodes[@]}" "${heads[@]}"; do
  folder=${folder%/about}
  [[ -z $only || ${folder##*/} == "$only" ]] || continue
  found=yes
  about=$(<"$folder/about")
  if [[ $list == no ]]; then
    stop_node "$folder"
    echo "down: $about"
  elif read_leader "$folder"; then
    echo "up: $about (process $LEADER)"
  else
    echo "dead: $about; stop.sh removes what it left"
  fi
done
[[ $found == yes ]] || echo "nothing is up${only:+ at $only}"
