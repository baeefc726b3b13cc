# shellcheck shell=bash
# Sourced by node.sh: what a host must have before a Ray node starts: an interpreter with Ray, an address, free ports, the token.

TOKEN_STDIN=no MADE_TOKEN=''

find_python() {
  PROJECT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  PYTHON=${TAIL_QUALITY_PYTHON:-$PROJECT/.venv/bin/python}
  if [[ -z ${TAIL_QUALITY_PYTHON:-} && ! -x $PYTHON ]]; then
    PYTHON=python3
  fi
  PYTHON=$(command -v -- "$PYTHON") ||
    die "${TAIL_QUALITY_PYTHON:-python3}: no such program; set TAIL_QUALITY_PYTHON to the interpreter that has Ray"
  [[ $PYTHON == /* ]] || PYTHON=$PWD/$PYTHON
  "$PYTHON" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("ray") is None)' ||
    die "$PYTHON has no Ray: install the project there (pip install '.[vision]'), or set TAIL_QUALITY_PYTHON to an interpreter that has it"
}

# The address from which this host reaches another one; a UDP socket finds it without sending anything.
own_address() { # HOST
  "$PYTHON" -c 'import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
    probe.connect((sys.argv[1], 9))
    print(probe.getsockname()[0])' "$1" 2>/dev/null || die "this host has no route to $1; give its address with --node-ip"
}

# With an address that is not this host's, Ray tries for two minutes and does not say why.
check_address() {
  "$PYTHON" -c 'import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
socket.socket(family).bind((sys.argv[1], 0))' "$NODE_IP" 2>/dev/null ||
    die "--node-ip $NODE_IP: is no address of this host; give one that 'ip address' shows"
}

# With grpcio a head starts Ray's client server, on a port that can be chosen; without, it has none and refuses the option.
has_client_server() {
  "$PYTHON" -P -c 'import grpc' 2>/dev/null
}

# Ray listens on all addresses, so that two nodes of one host need ports of their own, and says badly what is taken.
check_ports() { # PORT...
  local taken
  taken=$("$PYTHON" -c 'import socket, sys
for port in sys.argv[1:]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", int(port)))
        except OSError:
            print(port)
            break' "$@")
  [[ -z $taken ]] || die "port $taken of this host is taken; choose others with --ports or, for the head, --port"
}

prepare_token() { # make: yes where a missing token is made
  local file=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token} token
  if [[ $TOKEN_STDIN == yes ]]; then
    read -r token || [[ -n $token ]] || die "--token-stdin: standard input holds no token"
    if [[ -s $file && $(<"$file") != "$token" ]]; then
      die "$file holds the token of another cluster; remove it if nothing uses it, or set RAY_AUTH_TOKEN_PATH to another file"
    fi
    if [[ ! -s $file ]]; then
      (umask 077 && mkdir -p -- "$(dirname "$file")" && printf %s "$token" >"$file")
      # shellcheck disable=SC2034 # start_ray removes it where the head refuses it
      MADE_TOKEN=$file
    fi
  elif [[ -n ${RAY_AUTH_TOKEN:-} ]]; then
    return
  elif [[ ! -s $file ]]; then
    [[ $1 == yes ]] || die "no token in $file: run 'ssh HEAD cat .ray/auth_token | $0 --token-stdin ...'"
    (umask 077 && mkdir -p -- "$(dirname "$file")" && "$PYTHON" -c 'import secrets; print(secrets.token_hex(32), end="")' >"$file")
    echo "made the cluster's token: $file"
  fi
  chmod 600 -- "$file"
}
