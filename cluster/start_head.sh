#!/usr/bin/env bash
# Starts the head of a cluster on this host.
set -euo pipefail
# shellcheck source=node.sh
source "$(dirname "${BASH_SOURCE[0]}")/node.sh"

HELP="usage: start_head.sh [--system NAME] [OPTIONS]

Starts Ray's head on this host and makes the cluster's token if there is none. Campaigns are started on the head. End it with stop.sh.

  --system NAME       the head is itself the system NAME: its node carries the label system=NAME
  --port PORT         where the other nodes and campaigns find the cluster (default 6379)
$COMMON_HELP"

port=6379
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help) echo "$HELP" && exit ;;
    --port) [[ $# -ge 2 ]] || die "--port needs a value; see --help" && port=$2 && shift 2 ;;
    *) common_option "$@" && shift "$TAKEN" ;;
  esac
done
check_options
[[ $port =~ ^[1-9][0-9]{3,4}$ ]] || die "--port $port: must be a port from 1024 to 65535"
((port >= 1024 && port <= 65535)) || die "--port $port: must be a port from 1024 to 65535"
((port < FIRST || port > LAST)) || die "--port $port: is one of --ports $PORTS; choose another"
find_python
[[ -n $NODE_IP ]] || NODE_IP=$(own_address 192.0.2.1) # any address beyond this host: nothing is sent
check_address
prepare_token yes
HEAD_PORTS=("$port") client=()
if has_client_server; then
  # shellcheck disable=SC2034 # start_ray checks them
  HEAD_PORTS+=($((FIRST + 6)))
  client=(--ray-client-server-port=$((FIRST + 6)))
fi
start_ray "head $NODE_IP:$port${SYSTEM:+, system $SYSTEM}" --head --port="$port" --include-dashboard=false "${client[@]}"
echo "next, on each other host: cluster/start_node.sh --system NAME --address $NODE_IP:$port"
echo "then, on this host: python -m orchestrator plan +sweep=NAME cluster=address cluster.address=$NODE_IP:$port"
