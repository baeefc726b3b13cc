# shellcheck shell=bash disable=SC2154 # names set by hosts.sh
# What each host may use: cores by affinity, a share of one core's time by control groups. Sourced by hosts.sh.

PERIOD_US=100000 # what container platforms use

allowed_cores() { # one number a line
  local range
  for range in $(taskset -cp $$ | sed 's/.*: //; s/,/ /g'); do
    seq "${range%-*}" "${range#*-}"
  done
}

cores() { # HOST: a list for taskset
  local all
  mapfile -t all < <(allowed_cores)
  case ${1%-[2-9]} in
    head) (IFS=, && echo "${all[*]}") ;;
    two-cores) (IFS=, && echo "${all[*]:0:2}") ;;
    *) echo "${all[$(number "$1") % ${#all[@]}]}" ;;
  esac
}

say_what_is_shared() {
  local count
  count=$(allowed_cores | wc -l)
  if ((count < 2)); then
    echo "this machine has one core: two-cores gets one" >&2
  fi
  if ((count < 6)); then
    echo "the hosts share $count cores and slow each other down: this shows how systems are compared, not how fast they are" >&2
  fi
}

share_us() { # HOST: processor time in each period; nothing where all of it
  case ${1%-[2-9]} in
    three-quarters) echo $((PERIOD_US * 3 / 4)) ;;
    half-core) echo $((PERIOD_US / 2)) ;;
    quarter-core) echo $((PERIOD_US / 4)) ;;
  esac
}

control_group_parent() { # the folder where a group with processor time can be made
  local mount type options own
  while read -r _ mount type options _; do
    if [[ $type == cgroup && ,$options, == *,cpu,* ]]; then
      # In a container this process's group may lie outside what is mounted.
      own=$(awk -F: '("," $2 ",") ~ /,cpu,/ {print $3}' /proc/self/cgroup)
      [[ -d $mount$own ]] && mount+=$own
      echo "${mount%/}"
      return
    fi
    if [[ $type == cgroup2 ]] && grep -qw cpu "$mount/cgroup.subtree_control" 2>/dev/null; then
      echo "$mount"
      return
    fi
  done </proc/self/mounts
  return 1
}

make_quota() { # HOST: makes its control group and notes the folder
  local parent group
  [[ -n $(share_us "$1") ]] || return 0
  if parent=$(control_group_parent); then
    group=$parent/$(namespace "$1")
    echo "$group" >"$folder/$1.cgroup"
    ! mkdir "$group" 2>/dev/null || return 0
  fi
  rm -f "$folder/$1.cgroup"
  echo "no control groups for processor time (cpu, v1 or v2) here: $1 runs without quota, as one whole core" >&2
}

quota() { # HOST on|off; off lets a node start quickly
  local group share
  [[ -s $folder/$1.cgroup ]] || return 0
  group=$(<"$folder/$1.cgroup")
  share=$(share_us "$1")
  if [[ -e $group/cpu.max ]]; then
    [[ $2 == on ]] || share=max
    echo "$share $PERIOD_US" 2>/dev/null >"$group/cpu.max" && return
  else
    [[ $2 == on ]] || share=-1
    echo "$PERIOD_US" 2>/dev/null >"$group/cpu.cfs_period_us" && echo "$share" 2>/dev/null >"$group/cpu.cfs_quota_us" && return
  fi
  echo "$group takes no quota of $share us: $1 runs without" >&2
}

remove_quota() { # HOST, which has no process any more
  local group
  [[ -s $folder/$1.cgroup ]] || return 0
  group=$(<"$folder/$1.cgroup")
  for _ in {1..50}; do
    [[ ! -d $group ]] || rmdir "$group" 2>/dev/null || { sleep 0.1 && continue; }
    return 0
  done
  fail 1 "cannot remove $group: a process in it will not end"
}
