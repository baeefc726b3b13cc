#!/usr/bin/env bash
# Four differently limited hosts on this machine, each a Ray node in a network namespace of its own. Root, Linux.
#
#   hosts.sh why-not             say in one line why this machine cannot have them; status 0 where it can
#   hosts.sh up FOLDER [HOST...] make them, or others; the last line of the output is the head's address; FOLDER/env.sh is to be sourced
#   hosts.sh down FOLDER         remove all of it, also after an `up` that was cut short
#   hosts.sh cut FOLDER HOST     pull the network cable of a host; mend FOLDER HOST puts it back
#   hosts.sh kill FOLDER HOST    end all processes of a host at once; start FOLDER HOST starts its Ray node again
#
# HOST: two-cores, one-core, three-quarters, half-core, quarter-core; `up` makes all but three-quarters unless told otherwise.
# HOST-2, HOST-3, ... are further hosts of the same kind.
# cut, mend and kill also take head.
# PYTHON names the interpreter that has Ray (default: .venv/bin/python of this checkout, else python3).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KNOWN_HOSTS=(two-cores one-core three-quarters half-core quarter-core)
HOSTS=(two-cores one-core half-core quarter-core)
# shellcheck source=machine.sh
source "$here/machine.sh"
# shellcheck source=network.sh
source "$here/network.sh"
# shellcheck source=limits.sh
source "$here/limits.sh"
# shellcheck source=nodes.sh
source "$here/nodes.sh"

fail() { # STATUS MESSAGE
  echo "hosts.sh: $2" >&2
  exit "$1"
}

load() { # the names that FOLDER's hosts have
  [[ -s $folder/run ]] || fail 2 "$folder holds no hosts; make them with: hosts.sh up $folder"
  local hosts
  read -r id subnet port hosts <"$folder/run"
  read -ra HOSTS <<<"$hosts"
  temporary=/tmp/tq-$id # Ray's sockets need a short path
}

need_host() { # HOST KNOWN...
  local known
  for known in "${@:2}"; do
    [[ $1 == "$known" ]] && return
  done
  fail 2 "host '$1' is none of ${*:2}"
}

write_environment() {
  head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$folder/token"
  cat >"$folder/env.sh" <<END
unset RAY_AUTH_TOKEN RAY_ADDRESS
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=$(printf %q "$folder/token")
export RAY_USAGE_STATS_ENABLED=0
export RAY_worker_niceness=0
export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
export TAIL_QUALITY_ADDRESS=$subnet.1:$port
END
}

up() {
  local reason host
  for host in "${HOSTS[@]}"; do need_host "${host%-[2-9]}" "${KNOWN_HOSTS[@]}"; done
  reason=$(why_not) || fail 1 "$reason"
  [[ ! -e $folder/run ]] || fail 2 "$folder holds hosts already; remove them with: hosts.sh down $folder"
  umask 077
  mkdir -p "$folder"
  trap 'undo' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
  subnet=$(free_subnet)
  echo "$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n') $subnet $(free_port) ${HOSTS[*]}" >"$folder/run"
  load
  mkdir "$temporary"
  write_environment
  # shellcheck source=/dev/null
  source "$folder/env.sh"
  make_network
  for host in head "${HOSTS[@]}"; do
    make_names "$host"
    make_quota "$host"
  done
  say_what_is_shared
  # One after the other: Ray gives each 30 s, which four at once may need on a busy machine.
  for host in head "${HOSTS[@]}"; do start_node "$host"; done
  for host in "${HOSTS[@]}"; do quota "$host" on; done
  trap - EXIT INT TERM HUP
  echo "${#HOSTS[@]} hosts are up; remove them with: $here/hosts.sh down $folder" >&2
  echo "$subnet.1:$port"
}

undo() { # what `up` made before it failed or was interrupted
  trap '' INT TERM HUP
  kill -KILL "${launched[@]}" 2>/dev/null || true # some may not have reached their host yet
  down
}

down() {
  local host
  [[ -s $folder/run ]] || return 0
  load
  for host in head "${HOSTS[@]}"; do
    kill_processes "$host"
    remove_names "$host"
    remove_quota "$host"
    rm -f "$folder/$host".*
  done
  remove_network
  rm -rf "$temporary"
  rm -f "$folder/token" "$folder/env.sh" "$folder/run"
  rmdir --ignore-fail-on-non-empty "$folder"
}

start() {
  need_host "$1" "${HOSTS[@]}"
  [[ -z $(processes "$1") ]] || fail 2 "$1 is running; kill it first"
  # shellcheck source=/dev/null
  source "$folder/env.sh"
  await_gone "$1"
  quota "$1" off
  start_node "$1"
  quota "$1" on
}

verb=${1:-}
launched=()
python=$(python_with_ray)
folder=$(realpath -m "${2:-.}")
case $verb:$# in
  why-not:1) why_not ;;
  up:[2-9] | up:1[0-9])
    (($# == 2)) || HOSTS=("${@:3}")
    up
    ;;
  down:2) down ;;
  cut:3 | mend:3) load && need_host "$3" "${HOSTS[@]}" head && "$verb" "$3" ;;
  kill:3) load && need_host "$3" "${HOSTS[@]}" head && kill_processes "$3" ;;
  start:3) load && start "$3" ;;
  *)
    sed -n '2,/^set/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
