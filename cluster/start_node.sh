#!/usr/bin/env bash
# Joins this host to a cluster as one system.
set -euo pipefail
# shellcheck source=node.sh
source "$(dirname "${BASH_SOURCE[0]}")/node.sh"

HELP="usage: start_node.sh --system NAME [--address HEAD:PORT] [OPTIONS]

Joins this host to the cluster whose head is at HEAD:PORT, as the system NAME. End it with stop.sh.

  --system NAME       the node carries the label system=NAME, by which conf/system/*.yaml choose it
  --address HEAD:PORT what start_head.sh printed (default: \$RAY_ADDRESS)
$COMMON_HELP"

address=${RAY_ADDRESS:-}
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help) echo "$HELP" && exit ;;
    --address) [[ $# -ge 2 ]] || die "--address needs a value; see --help" && address=$2 && shift 2 ;;
    *) common_option "$@" && shift "$TAKEN" ;;
  esac
done
[[ -n $SYSTEM ]] || die "no system: say which one this host is with --system NAME"
[[ -n $address ]] || die "no address: give what start_head.sh printed with --address HEAD:PORT"
[[ $address =~ ^([A-Za-z0-9._-]+):([0-9]{1,5})$ ]] || die "--address $address: must be HEAD:PORT, such as 192.0.2.10:6379"
head=${BASH_REMATCH[1]} port=${BASH_REMATCH[2]}
check_options
find_python
# shellcheck disable=SC2016 # the inner shell expands them
timeout 10 bash -c ': >"/dev/tcp/$0/$1"' "$head" "$port" 2>/dev/null ||
  die "nothing answers at $address: start the head there, and open the port in its firewall"
[[ -n $NODE_IP ]] || NODE_IP=$(own_address "$head")
[[ $NODE_IP != 127.0.0.1 ]] || die "$head is this host's loopback; give this node another address with --node-ip"
check_address
prepare_token no
start_ray "system $SYSTEM on $NODE_IP, head $address" --address="$address"
