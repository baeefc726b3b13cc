#!/usr/bin/env bash
# Makes four hosts, measures on all of them, prints the table that compares them, and removes the hosts, however it ends.
# Arguments go to the orchestrator: run.sh model=efficientnet_lite0. HOSTS="two-cores half-core" makes these hosts instead of the usual four.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=machine.sh
source "$here/machine.sh"
python=$(python_with_ray)
reason=$(why_not) || { echo "no four hosts on this machine: $reason" >&2 && exit 1; }
folder=$(mktemp -d)

# shellcheck disable=SC2329 # the trap calls it
finish() {
  trap '' INT TERM HUP
  "$here/hosts.sh" down "$folder"
  rm -rf "$folder"
}

# A command in a session of its own, so that each signal reaches it once: from here, whoever sent it.
forwarding() {
  setsid env --default-signal=INT "$@" &
  child=$! again=yes
  trap 'again=yes; kill -INT "$child" 2>/dev/null || true' INT
  trap 'again=yes; kill -TERM "$child" 2>/dev/null || true' TERM
  trap 'again=yes; kill -HUP "$child" 2>/dev/null || true' HUP
  status=0
  while [[ -n $again ]]; do
    again=
    status=0
    wait "$child" || status=$?
  done
  return "$status"
}

# The campaign advises `resume`, but its hosts go with this script.
say_what_is_left() { # ARGUMENTS
  local word results=results/latest
  for word in "$@"; do
    [[ $word != results_dir=* ]] || results=${word#results_dir=}
  done
  # The link may be an earlier campaign's, where this one was cut short before it began.
  [[ $results/campaign.json -nt $folder/env.sh ]] || return 0
  results=$(realpath --relative-base=. -- "$results")
  echo "the four hosts are gone, so that \`resume\` has none;" \
    "the results so far lie in $results: python -m orchestrator report $results" >&2
}

trap finish EXIT
read -ra hosts <<<"${HOSTS:-}"
forwarding "$here/hosts.sh" up "$folder" "${hosts[@]}" >/dev/null || exit
# shellcheck source=/dev/null
source "$folder/env.sh"
place=(cluster=address "cluster.address=$TAIL_QUALITY_ADDRESS" cluster.machines=node)
[[ " $*" == *" +sweep="* ]] || set -- +sweep=four_systems "$@"
forwarding "$python" -m orchestrator "${place[@]}" "$@" || status=$?
((status < 128)) || say_what_is_left "$@"
exit "$status"
