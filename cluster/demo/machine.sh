# shellcheck shell=bash disable=SC2154 # names set by hosts.sh
# What the machine must offer. Sourced by hosts.sh.

python_with_ray() {
  local checkout name=${PYTHON:-}
  checkout=$(cd "$here/../.." && pwd)
  if [[ -z $name ]]; then
    name=python3
    [[ ! -x $checkout/.venv/bin/python ]] || name=$checkout/.venv/bin/python
  fi
  name=$(command -v "$name") || return 0
  realpath -s "$name" # a virtual environment is told by its link
}

why_not() { # prints the first thing that is missing, with its remedy
  local command probe
  [[ $(uname -s) == Linux ]] || { echo "this is $(uname -s): network namespaces are Linux's; use a Linux machine" && return 1; }
  [[ $EUID -eq 0 ]] || { echo "user $(id -un) is not root: network namespaces need it; use sudo" && return 1; }
  for command in ip ss; do
    command -v "$command" >/dev/null || { echo "no command $command: install the package iproute2" && return 1; }
  done
  for command in unshare nsenter setsid taskset; do
    command -v "$command" >/dev/null || { echo "no command $command: install the package util-linux" && return 1; }
  done
  for command in hostname find; do
    command -v "$command" >/dev/null || { echo "no command $command: install the package ${command/find/findutils}" && return 1; }
  done
  env --default-signal=INT true 2>/dev/null || { echo "env knows no --default-signal: install coreutils 8.31 or newer" && return 1; }
  "${python:-false}" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("ray"))' 2>/dev/null ||
    { echo "${python:-${PYTHON:-python3}} has no Ray: run make test once, or set PYTHON to an interpreter that has it" && return 1; }
  unshare --uts hostname tq-probe 2>/dev/null || { echo "no UTS namespaces (host names): a container needs --privileged" && return 1; }
  probe=tq-probe-$$
  ip netns add "$probe" 2>/dev/null || { echo "no network namespaces: a container needs --privileged, a kernel CONFIG_NET_NS" && return 1; }
  if ! { ip -n "$probe" link add cable type veth peer name end && ip -n "$probe" link add switch type bridge; } 2>/dev/null; then
    ip netns del "$probe"
    echo "no veth pairs or bridges: load the kernel modules veth and bridge"
    return 1
  fi
  ip netns del "$probe"
}
