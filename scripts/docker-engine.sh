#!/usr/bin/env bash
# A private Docker engine for tests: own socket, images, containers and run-time files, all below DIR. It leaves the firewall and the
# other engines of this machine alone (no iptables rules, no forwarding, no docker0), so its containers reach each other and the host,
# and published ports work, but nothing in them reaches the outside; build with --network=host. Must run as root.
#
# Usage: scripts/docker-engine.sh start DIR [dockerd options]   returns when it answers on DIR/docker.sock; later options win. Waits for
#                                                               an engine that runs in DIR to end first
#        scripts/docker-engine.sh stop DIR                      ends its containers and the engine; images and volumes stay in DIR/data
set -euo pipefail
START_SECONDS=60 STOP_SECONDS=30 WAIT_SECONDS=1200

die() { printf 'docker-engine: %s\n' "$*" >&2; exit 1; }
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }

# The pid file of an engine that was killed names a process that is gone, or somebody else's by now.
find_engine() {
  PID=''
  [[ -s $DIR/pid ]] || return 1
  PID=$(<"$DIR/pid")
  [[ -r /proc/$PID/cmdline ]] && tr '\0' ' ' <"/proc/$PID/cmdline" | grep -qF -- "--pidfile=$DIR/pid "
}

api() { timeout "$1" docker --host "unix://$DIR/docker.sock" "${@:2}"; }

start() {
  local i
  # Names of sockets have room for 107 characters.
  ((${#DIR} <= 65)) || die "the path is too long for the engine's sockets: $DIR"
  mkdir -p -m 700 -- "$DIR"
  find_engine || clean_up
  # The engine holds the lock as long as it lives, for it inherits the descriptor.
  exec {LOCK}<"$DIR"
  flock -w "$WAIT_SECONDS" "$LOCK" || die "another engine runs in $DIR"
  clean_up
  rm -f -- "$DIR/pid"
  setsid dockerd --host "unix://$DIR/docker.sock" --data-root "$DIR/data" --exec-root "$DIR/exec" "--pidfile=$DIR/pid" \
    --bridge=none --iptables=false --ip-forward=false "$@" </dev/null >>"$DIR/engine.log" 2>&1 {NAP}>&- &
  for ((i = 0; i < START_SECONDS * 10; i++)); do
    if api 5 version >/dev/null 2>&1; then return; fi
    kill -0 $! 2>/dev/null || break
    nap 0.1
  done
  tail -n 30 -- "$DIR/engine.log" >&2 || :
  die "the engine in $DIR does not answer"
}

stop() {
  local i
  [[ -d $DIR ]] || return 0
  if find_engine; then
    api 10 swarm leave --force >/dev/null 2>&1 || :
    # One by one they would get their whole grace.
    api 20 ps -aq 2>/dev/null | xargs -r timeout 60 docker --host "unix://$DIR/docker.sock" rm -f >/dev/null 2>&1 || :
    api 20 network prune -f >/dev/null 2>&1 || :
    kill -TERM "$PID" 2>/dev/null || :
    for ((i = 0; i < STOP_SECONDS * 10; i++)); do
      find_engine || break
      nap 0.1
    done
    if find_engine; then kill -KILL "$PID" 2>/dev/null || :; fi
  fi
  clean_up
  rm -rf -- "$DIR/exec" "$DIR/docker.sock" "$DIR/pid"
}

# What an engine that was killed leaves: containers, their shims, mounts and bridges. Each is known by a path or a number of this engine's.
clean_up() {
  local id pid file point bridge
  for id in $(ls -- "$DIR/data/containers" 2>/dev/null); do
    for file in /sys/fs/cgroup/docker/"$id"/cgroup.procs /sys/fs/cgroup/*/docker/"$id"/cgroup.procs; do
      if [[ -r $file ]]; then xargs -r kill -KILL <"$file" 2>/dev/null || :; fi
    done
  done
  for file in $(grep -laF -- "$DIR/exec/containerd" /proc/[0-9]*/cmdline 2>/dev/null); do
    pid=${file#/proc/} pid=${pid%/cmdline}
    kill -KILL "$pid" 2>/dev/null || :
  done
  for point in $(awk -v dir="$DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r); do
    umount -l -- "$point" 2>/dev/null || :
  done
  for bridge in /sys/class/net/br-*; do
    bridge=${bridge##*/br-}
    if grep -qsaF -- "$bridge" "$DIR/data/network/files/local-kv.db"; then ip link delete "br-$bridge" 2>/dev/null || :; fi
  done
}

(($# > 1)) || { sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
((EUID == 0)) || die 'must run as root'
command -v dockerd >/dev/null || die 'dockerd is missing: scripts/install-deps.sh --docker'
VERB=$1 DIR=$(realpath -m -- "$2")
shift 2
case $VERB in
  start) start "$@" ;;
  stop) stop ;;
  *) die "no such verb: $VERB" ;;
esac
