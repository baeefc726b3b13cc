# shellcheck shell=bash disable=SC2154 # names set by hosts.sh
# One switch and five cables. Sourced by hosts.sh.
#
# The switch is a bridge in a namespace of its own, so that firewall rules of this machine for forwarded packets (Docker's) do not
# apply to it. No namespace has a default route: nothing that the hosts send can leave the machine.

namespace() { # HOST
  echo "tq-$id-$1"
}

free_subnet() { # the first three numbers of a /24 in 10.0.0.0/8 that no route covers and that covers no route
  local candidate
  for _ in {1..200}; do
    candidate=10.$((RANDOM % 256)).$((RANDOM % 256))
    if [[ -z $(
      ip -4 route show table all match "$candidate.0/24" | grep -v '^default'
      ip -4 route show table all root "$candidate.0/24"
    ) ]]; then
      echo "$candidate"
      return
    fi
  done
  fail 1 "routes of this machine cover all of 10.0.0.0/8: close the VPN that set them"
}

free_port() {
  local candidate
  while candidate=$((20000 + RANDOM % 10000)); do
    [[ -n $(ss -Hltn "sport = :$candidate") ]] || break
  done
  echo "$candidate"
}

number() { # HOST: last number of its address
  local index
  [[ $1 == head ]] && echo 1
  for index in "${!HOSTS[@]}"; do
    [[ $1 != "${HOSTS[index]}" ]] || echo $((index + 2))
  done
}

make_network() {
  local host switch
  switch=$(namespace switch)
  ip netns add "$switch"
  ip -n "$switch" link add switch type bridge
  ip -n "$switch" link set switch addrgenmode none up
  # The head is this machine itself, so that the driver runs where the user types.
  ip link add "tq-$id" type veth peer name head netns "$switch"
  ip link set "tq-$id" addrgenmode none
  ip address add "$subnet.1/24" dev "tq-$id"
  ip link set "tq-$id" up
  for host in "${HOSTS[@]}"; do
    ip netns add "$(namespace "$host")"
    ip -n "$switch" link add "$host" type veth peer name eth0 netns "$(namespace "$host")"
    ip -n "$(namespace "$host")" link set lo up
    ip -n "$(namespace "$host")" link set eth0 addrgenmode none
    ip -n "$(namespace "$host")" address add "$subnet.$(number "$host")/24" dev eth0
    ip -n "$(namespace "$host")" link set eth0 up
  done
  for host in head "${HOSTS[@]}"; do
    ip -n "$switch" link set "$host" master switch addrgenmode none up
  done
}

cut() { # HOST
  ip -n "$(namespace switch)" link set "$1" down
}

mend() { # HOST
  ip -n "$(namespace switch)" link set "$1" up
}

remove_network() {
  local name
  ip link del "tq-$id" 2>/dev/null || true
  for name in $(ip netns list | awk -v start="tq-$id-" 'index($1, start) == 1 {print $1}'); do
    # Someone may have entered it to look around.
    ip netns pids "$name" | xargs -r kill -KILL 2>/dev/null || true
    ip netns del "$name"
  done
}
