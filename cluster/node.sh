# shellcheck shell=bash
# Sourced by start_head.sh and start_node.sh: the options they share, and the start of one Ray node.

# shellcheck source=state.sh
source "$(dirname "${BASH_SOURCE[0]}")/state.sh"
# shellcheck source=host.sh
source "$(dirname "${BASH_SOURCE[0]}")/host.sh"

# shellcheck disable=SC2034 # the scripts that source this one print it
COMMON_HELP="\
  --label KEY=VALUE   another Ray label of this node; may be given more than once
  --node-ip IP        this host's address in the cluster (default: the one it reaches the others from)
  --ports FIRST-LAST  ports of this node, for the firewall (default 20000-20099)
  --temp-dir DIR      Ray's own files (default: a new folder /tmp/tail-ray.*, which stop.sh removes); keep it short
  --token-stdin       read the cluster's token from standard input, where this host has none yet
  -h, --help          print this

environment:
  TAIL_QUALITY_PYTHON interpreter with Ray (default: .venv/bin/python of the project, else python3)
  TAIL_QUALITY_STATE  folder that remembers what was started (default /tmp/tail-quality-UID)
  RAY_AUTH_TOKEN_PATH file with the token (default ~/.ray/auth_token)"

SYSTEM='' NODE_IP='' PORTS=20000-20099 TEMP_DIR='' LABELS=() HEAD_PORTS=()

# Sets TAKEN to the number of words that a shared option took.
# shellcheck disable=SC2034
common_option() {
  TAKEN=2
  case $1 in
    --token-stdin) TOKEN_STDIN=yes TAKEN=1 && return ;;
    --system | --label | --node-ip | --ports | --temp-dir) [[ $# -ge 2 ]] || die "$1 needs a value; see --help" ;;
    *) die "$1: there is no such option; see --help" ;;
  esac
  case $1 in
    --system) SYSTEM=$2 ;;
    --label) LABELS+=("$2") ;;
    --node-ip) NODE_IP=$2 ;;
    --ports) PORTS=$2 ;;
    --temp-dir) TEMP_DIR=$2 ;;
  esac
}

check_options() {
  local label
  [[ -z $SYSTEM ]] || LABELS=("system=$SYSTEM" "${LABELS[@]}")
  for label in "${LABELS[@]}"; do
    [[ $label =~ ^[A-Za-z0-9][A-Za-z0-9./_-]*=[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$ && $label != ray.io/* ]] ||
      die "label $label: must be KEY=VALUE of letters, digits, dots, dashes and underscores, and not begin with ray.io/"
  done
  [[ $PORTS =~ ^([0-9]{4,5})-([0-9]{4,5})$ ]] || die "--ports $PORTS: must be FIRST-LAST, such as 20000-20099"
  FIRST=${BASH_REMATCH[1]} LAST=${BASH_REMATCH[2]}
  ((LAST <= 65535 && LAST - FIRST >= 19)) || die "--ports $PORTS: a node needs at least 20 ports, below 65536"
  [[ $NODE_IP != 127.0.0.1 && $NODE_IP != localhost ]] ||
    die "--node-ip $NODE_IP: Ray replaces it by another; give the address that the others reach"
}

token_is_refused() { # LOG
  grep -qiE 'unauthenticated|invalidauthtoken|authentication' "$1"
}

# One line that says why Ray did not start; KEPT is where its output can be read afterwards.
reason() { # LOG KEPT
  local line
  if token_is_refused "$1"; then
    echo "the head refuses this host's token; copy the head's into ${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}"
  elif grep -q 'Version mismatch' "$1"; then
    # Ray's and Python's version there, then here: two lines each after a heading.
    line=$(grep -A5 'Version mismatch' "$1" | tail -n 6 | tr -s '\n\t ' ' ' | sed 's/.*Version mismatch/Version mismatch/; s/ $//')
    echo "$line; install the cluster's versions here"
  else
    # The last line that complains: INFO and I only tell how far Ray came.
    line=$(grep -vE '^\s*$|^\s+File |^Traceback|^[-0-9:,[:space:]]+INFO |^\[[^]]* I [^]]*\]' "$1" | tail -n 1) || true
    echo "${line:+$(sed -E 's/^[-0-9:,[:space:]]+[A-Z]+ [^ ]+ -- //; s/^\[[^]]*\] [^ ]+ //' <<<"$line"); }see $2"
  fi
}

start_ray() { # ABOUT RAY_ARGUMENTS...
  local about=$1 folder log pid said
  shift
  open_state
  folder=$STATE/$NODE_IP log=$STATE/$NODE_IP/log
  if read_leader "$folder"; then
    die "$NODE_IP is up already ($(<"$folder/about"), process $LEADER); end it first: $(dirname "$0")/stop.sh --node-ip $NODE_IP"
  fi
  rm -f -- "$folder.log"
  [[ ! -e $folder ]] || stop_node "$folder" # a killed node's processes hold its ports
  check_ports "$FIRST" $((FIRST + 1)) $((FIRST + 2)) "${HEAD_PORTS[@]}"
  mkdir -m 700 -- "$folder"
  if [[ -z $TEMP_DIR ]]; then
    TEMP_DIR=$(mktemp -d /tmp/tail-ray.XXXXXX)
  else
    (umask 077 && mkdir -p -- "$TEMP_DIR") && TEMP_DIR=$(cd -- "$TEMP_DIR" && pwd)
  fi
  echo "$TEMP_DIR" >"$folder/temp"
  echo "$about" >"$folder/about"

  unset RAY_ADDRESS
  : >"$log"
  export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
  export RAY_worker_niceness=0 # else any other process stalls the timed ones
  export RAY_enable_worker_prestart=0 RAY_prestart_worker_first_driver=0 # no timed actor could use a process that is there already
  export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
  cd -- "$folder" || exit # a stray tasks.py in the user's folder must not be found by workers
  # Ray opens its folder to all users of the host, and its workers import code from there: it lies within one that is ours alone.
  # One CPU for Ray: it keeps an idle worker for each, and timed actors ask for none. FIRST + 6 is the head's.
  setsid "$PYTHON" -P -m ray.scripts.scripts start --block --node-ip-address="$NODE_IP" --temp-dir="$TEMP_DIR/r" --num-cpus=1 \
    --object-store-memory=536870912 --include-log-monitor=false --node-manager-port="$FIRST" --object-manager-port=$((FIRST + 1)) \
    --runtime-env-agent-port=$((FIRST + 2)) --dashboard-agent-listen-port=$((FIRST + 3)) --dashboard-agent-grpc-port=$((FIRST + 4)) \
    --metrics-export-port=$((FIRST + 5)) --min-worker-port=$((FIRST + 7)) --max-worker-port="$LAST" \
    ${LABELS[0]:+--labels="$(IFS=, && echo "${LABELS[*]}")"} "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  write_leader "$folder" "$pid" || true
  trap 'stop_node "$folder" && exit 130' INT TERM HUP
  for _ in {1..600}; do
    if grep -q 'Ray runtime started' "$log"; then
      echo "up: $about"
      return
    fi
    read_leader "$folder" || break
    sleep 0.2
  done
  said=$(reason "$log" "$folder.log")
  echo "error: Ray did not start on $NODE_IP: $said" >&2
  if [[ -n $MADE_TOKEN ]] && token_is_refused "$log"; then
    rm -f -- "$MADE_TOKEN" # else the right one is taken for another cluster's
  fi
  [[ $said != *"see $folder.log" ]] || mv -- "$log" "$folder.log"
  stop_node "$folder"
  exit 2
}
