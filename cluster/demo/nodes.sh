# shellcheck shell=bash disable=SC2154 # names set by hosts.sh
# The Ray node of each host. Sourced by hosts.sh.
#
# Every host has host names of its own (a UTS namespace, pinned by a file). It also tells which processes are the host's, however
# they came to be: Ray's children change their parents, titles and process groups.

START_TIMEOUT_S=90

make_names() { # HOST
  touch "$folder/$1.uts"
  if [[ $1 == head ]]; then
    unshare --uts="$folder/$1.uts" true # the machine's own name
  else
    unshare --uts="$folder/$1.uts" hostname "$1"
  fi
}

remove_names() { # HOST
  ! pinned "$1" || umount "$folder/$1.uts"
}

pinned() { # HOST
  [[ $(stat -f -c %T "$folder/$1.uts" 2>/dev/null) == nsfs ]]
}

processes() { # HOST: ids, one a line
  pinned "$1" || return 0
  # Processes end while find looks at them.
  find /proc/[0-9]*/ns/uts -maxdepth 0 -lname "uts:\[$(stat -L -c %i "$folder/$1.uts")\]" -printf '%h\n' 2>/dev/null |
    sed 's|/proc/||; s|/ns||' || true
}

launch() { # HOST: starts its Ray node in the background, which adds to the host's log
  local join enter memory
  if [[ $1 == head ]]; then
    enter=() memory=()
    join=(--head --port="$port" --num-cpus=0 --include-dashboard=false --no-monitor)
    # Their usual numbers may belong to a Ray that runs here already. Without grpcio there is no client server.
    join+=(--dashboard-port="$(free_port)")
    ! "$python" -P -c 'import grpc' 2>/dev/null || join+=(--ray-client-server-port="$(free_port)")
  else
    enter=(--net="/run/netns/$(namespace "$1")")
    # Memory of its own too, which goes with the host's last process.
    memory=(unshare --mount --propagation slave sh -c 'mount -t tmpfs tmpfs /dev/shm && exec "$@"' sh)
    join=(--address="$subnet.1:$port" --num-cpus=1 --labels="system=${1//-/_}")
  fi
  (
    # Started from /, where no stray module can hide one of Ray's; no worker is started before it is asked for.
    cd /
    [[ ! -s $folder/$1.cgroup ]] || echo "$BASHPID" >"$(<"$folder/$1.cgroup")/cgroup.procs"
    export RAY_enable_worker_prestart=0 RAY_prestart_worker_first_driver=0
    exec setsid env --default-signal=INT,QUIT nsenter --uts="$folder/$1.uts" "${enter[@]}" "${memory[@]}" \
      taskset -c "$(cores "$1")" "$python" -P -m ray.scripts.scripts start --block "${join[@]}" \
      --node-ip-address="$subnet.$(number "$1")" --temp-dir="$temporary/$1" \
      --object-store-memory=100000000 --include-log-monitor=false --disable-usage-stats
  ) </dev/null >>"$folder/$1.log" 2>&1 &
  launched[$(number "$1")]=$!
  disown # else bash reports its death
}

start_node() { # HOST: up to three times where the machine is so busy that Ray gives up
  local said
  for _ in {1..3}; do
    : >"$folder/$1.log" # what the node before said is no answer of this one
    launch "$1"
    ! await "$1" || return 0
    grep -qs 'timed out during startup' "$folder/$1.log" || break
    kill_processes "$1"
    [[ $1 == head ]] || await_gone "$1"
  done
  said=$(grep -v '^\s*$' "$folder/$1.log" | tail -n 1) || true
  fail 1 "the Ray node of $1 did not start within $START_TIMEOUT_S s: ${said:-it wrote nothing}; where a firewall is on, let it accept $subnet.0/24"
}

await_gone() { # HOST: until Ray has noticed that its last node is gone, else two nodes have one label
  "$python" -P - "$subnet.1:$port" "$subnet.$(number "$1")" <<'SCRIPT' || fail 1 "Ray still lists the last node of $1: start it later"
import sys
import time

from ray._raylet import GcsClient  # no public name asks a cluster for its nodes without joining it

nodes, deadline = GcsClient(address=sys.argv[1]), time.monotonic() + 120
while any(node.node_manager_address == sys.argv[2] and not node.state for node in nodes.get_all_node_info(timeout=30).values()):
    if time.monotonic() > deadline:
        sys.exit(1)
    time.sleep(0.2)
SCRIPT
}

await() { # HOST: until its node has started; false where it does not
  local deadline=$((SECONDS + START_TIMEOUT_S))
  until grep -qs 'Ray runtime started' "$folder/$1.log"; do
    if ! kill -0 "${launched[$(number "$1")]}" 2>/dev/null || ((SECONDS > deadline)); then
      return 1
    fi
    sleep 0.1
  done
}

kill_processes() { # HOST
  local ids
  for _ in {1..100}; do
    mapfile -t ids < <(processes "$1")
    ((${#ids[@]})) || return 0
    kill -KILL "${ids[@]}" 2>/dev/null || true
    sleep 0.05
  done
  fail 1 "processes of $1 will not end: ${ids[*]}"
}
