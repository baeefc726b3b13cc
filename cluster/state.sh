# shellcheck shell=bash
# Sourced by the scripts beside it: which Ray nodes they started on this host, each a folder IP with
# the files leader, temp, about and log.
# The folder lies in /tmp and not in XDG_RUNTIME_DIR, which is emptied when an ssh session ends while Ray runs on.

die() {
  echo "error: $*" >&2
  exit 2
}

open_state() {
  STATE=${TAIL_QUALITY_STATE:-/tmp/tail-quality-$UID}
  (umask 077 && mkdir -p -- "$STATE") || die "$STATE cannot be made; set TAIL_QUALITY_STATE to a folder of yours"
  [[ -O $STATE && ! -L $STATE ]] || die "$STATE belongs to somebody else; set TAIL_QUALITY_STATE to a folder of yours"
  chmod 700 -- "$STATE"
}

# Sets FIELDS to what /proc/PID/stat says after the name: 0 state, 3 session, 19 start time.
read_stat() {
  local line
  { read -r line <"/proc/$1/stat"; } 2>/dev/null || return 1
  read -ra FIELDS <<<"${line##*) }"
}

# A process id alone may name another process later; boot, id and start time together do not.
write_leader() { # FOLDER PID
  read_stat "$2" || return 1
  echo "$(</proc/sys/kernel/random/boot_id) $2 ${FIELDS[19]}" >"$1/leader"
}

# Sets LEADER to the process id of the node in FOLDER and FIELDS to its state, empty where it is gone; fails where the id is another's.
recorded_leader() { # FOLDER
  local boot start
  { read -r boot LEADER start <"$1/leader"; } 2>/dev/null || return 1
  [[ $boot == "$(</proc/sys/kernel/random/boot_id)" ]] || return 1
  FIELDS=()
  ! read_stat "$LEADER" || [[ ${FIELDS[19]} == "$start" ]]
}

# The same for a leader that runs; fails where it is gone.
read_leader() { # FOLDER
  recorded_leader "$1" && [[ ${FIELDS[0]:-Z} != Z ]]
}

# Every process of a node, workers too, is in the session that its leader opened.
session_members() { # LEADER
  local folder
  for folder in /proc/[0-9]*; do
    read_stat "${folder#/proc/}" && [[ ${FIELDS[3]} == "$1" && ${FIELDS[0]} != Z ]] && echo "${folder#/proc/}"
  done
  return 0
}

# What is left of the session of a leader that was killed. No process gets the id of a session that has members, but afterwards one may,
# end too, and leave a session of its own: so these must be this user's and work in the node's folders.
leftovers() { # FOLDER LEADER
  local pid place temp=''
  { read -r temp <"$1/temp"; } 2>/dev/null || true
  for pid in $(session_members "$2"); do
    place=$(readlink "/proc/$pid/cwd") || continue
    # A folder that was removed is followed by a word that says so.
    [[ ! -O /proc/$pid ]] || ! is_inside "${place% (deleted)}" "$1" "$temp" || echo "$pid"
  done 2>/dev/null
}

is_inside() { # PLACE FOLDER...
  local folder
  for folder in "${@:2}"; do
    folder=$(realpath -m -- "${folder:-/dev/null}")
    [[ $1/ != "$folder"/* ]] || return 0
  done
  return 1
}

forget() { # FOLDER
  local temp
  # Only a folder that we made ourselves is removed.
  if { read -r temp <"$1/temp"; } 2>/dev/null && [[ $temp == /tmp/tail-ray.* && -O $temp ]]; then
    rm -rf -- "$temp"
  fi
  rm -rf -- "$1"
}

# Ends the processes of one node: asks its leader, waits, and kills what is left of its session.
stop_node() { # FOLDER
  if read_leader "$1"; then
    kill -TERM "$LEADER" 2>/dev/null || true
    await_none session_members "$LEADER"
    kill_all session_members "$LEADER"
  elif recorded_leader "$1"; then
    kill_all leftovers "$1" "$LEADER" # Ray's agents do not listen without their leader
  fi
  forget "$1"
}

await_none() { # COMMAND...: until it names no process, for 20 s at most
  for _ in {1..100}; do
    [[ -n $("$@") ]] || return 0
    sleep 0.2
  done
}

kill_all() { # COMMAND...: the processes that it names
  local pid
  for pid in $("$@"); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  await_none "$@" # their ports are free only then
}
