#!/usr/bin/env bash
# Workers for Orion without any image: each one is a set of namespaces with its own root, accounts, sshd and agent. With --docker they are
# containers beside a control plane that compose brought up.
set -euo pipefail
# Tenants, sshd's unprivileged child and other users read the root that is made here, whatever the caller's umask keeps from them.
umask 022
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
PROJECT=${HERE%/*}
PORT=2222

usage() {
  cat <<'HELP'
Usage: scripts/launch-workers.sh N [options]     start N more workers and print one JSON line for each
       scripts/launch-workers.sh VERB [options]

Verbs
  --list               one JSON line a worker: name, address, port, pid, state, host_key, logs
  --kill NAME          SIGKILL its init: everything in it dies, as in a power cut
  --stop NAME          end it in order
  --start NAME         start it again with its old files; with --fresh with none of them and a new host key
  --freeze NAME        SIGSTOP everything in it;  --thaw NAME  lets it go on
  --cut NAME WAY       drop what it sends (out), what it is sent (in), or both;  --mend NAME  lets it through again
  --exec NAME CMD...   run a command in it as root
  --remove             end and delete all workers of the state directory; fine to repeat

Options
  --state-dir DIR      where the launch keeps its files (default /run/orion-workers)
  --subnet 127.X.Y     loopback subnet; worker N listens on 127.X.Y.N:2222 (default: a free one)
  --network NAME       host: the host's own (default). routed: each worker in a network namespace, as 10.X.Y.N; the host is 10.X.Y.254,
                       which takes the place of 127.0.0.1 in the endpoint. nat: the same, and nobody can connect to the worker from outside
  --endpoint URL       the control plane (default $API_ENDPOINT or http://127.0.0.1:8080)
  --token-file FILE    a join token, copied into each worker
  --labels k=v,k=v     labels of the node        --cpus N   CPUs the node says it has
  --agent-env K=V      further setting of the agent; repeatable
  --no-agent           only sshd
  --root DIR           another Linux than the host's: its root file system, of which the workers change nothing (see scripts/make-root.sh). It needs
                       sshd, ssh-keygen and Python 3. The first launch of a state directory decides. Only sshd is started

  --docker             containers instead, in the network of the compose project ($COMPOSE_PROJECT_NAME, or as .env says). Their names and
                       verbs are the same, but for --fresh; they listen on port 22 of an address of that network and call http://caddy:80.
                       Without --token-file a join token is issued through an api container. Options that do not apply are ignored
HELP
}

# shellcheck source=lib/worker-state.sh
. "$HERE/lib/worker-state.sh"
# shellcheck source=lib/worker-procs.sh
. "$HERE/lib/worker-procs.sh"
# shellcheck source=lib/worker-net.sh
. "$HERE/lib/worker-net.sh"
# shellcheck source=lib/docker-workers.sh
. "$HERE/lib/docker-workers.sh"

STATE=/run/orion-workers ENDPOINT=${API_ENDPOINT:-} DOCKER=0
VERB=launch NAME='' COUNT='' SUBNET='' NETWORK=host WAY='' TOKEN_FILE='' LABELS='' CPUS='' AGENT=1 FRESH=0 ROOT='' AGENT_ENV=() COMMAND=()

parse_arguments() {
  (($# > 0)) || { usage >&2; exit 2; }
  while (($# > 0)); do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --docker) DOCKER=1 ;;
      --list | --remove) VERB=${1#--} ;;
      --no-agent) AGENT=0 ;;
      --root) need "$@"; ROOT=$2 AGENT=0; shift ;;
      --fresh) FRESH=1 ;;
      --exec)
        (($# > 2)) || usage_error '--exec needs a worker and a command'
        VERB=exec NAME=$2 COMMAND=("${@:3}")
        return ;;
      --cut)
        [[ ${3-} =~ ^(in|out|both)$ ]] || usage_error '--cut needs a worker and in, out or both'
        VERB=cut NAME=$2 WAY=$3; shift 2 ;;
      --kill | --stop | --start | --freeze | --thaw | --mend) need "$@"; VERB=${1#--} NAME=$2; shift ;;
      --state-dir) need "$@"; STATE=$2; shift ;;
      --subnet) need "$@"; SUBNET=$2; shift ;;
      --network) need "$@"; NETWORK=$2; shift ;;
      --endpoint) need "$@"; ENDPOINT=$2; shift ;;
      --token-file) need "$@"; TOKEN_FILE=$2; shift ;;
      --labels) need "$@"; LABELS=$2; shift ;;
      --cpus) need "$@"; CPUS=$2; shift ;;
      --agent-env) need "$@"; AGENT_ENV+=("$2"); shift ;;
      *) [[ $1 =~ ^[1-9][0-9]{0,2}$ ]] || usage_error "unknown argument $1"; COUNT=$1 ;;
    esac
    shift
  done
}
need() { (($# > 1)) || usage_error "$1 needs a value"; }

check_arguments() {
  ((EUID == 0 || DOCKER)) || die 'must run as root'
  if ((DOCKER)); then ENDPOINT=${ENDPOINT:-http://caddy:80}; else ENDPOINT=${ENDPOINT:-http://127.0.0.1:8080}; fi
  STATE=$(realpath -m -- "$STATE")
  [[ $NETWORK =~ ^(host|routed|nat)$ ]] || usage_error "not a network: $NETWORK"
  [[ -z $SUBNET || $SUBNET =~ ^(127|10)\.[0-9]{1,3}\.[0-9]{1,3}$ && ${SUBNET%%.*} == "$(net_of_subnet)" ]] || usage_error "not a subnet for the network $NETWORK: $SUBNET"
  [[ $NAME =~ ^[0-9]+$ ]] && NAME=worker-$NAME
  [[ -z $NAME || $NAME =~ ^worker-[1-9][0-9]*$ ]] || usage_error "not a worker: $NAME"
  [[ $VERB != launch || -n $COUNT ]] || usage_error 'how many workers?'
  [[ -z $ROOT || -x $ROOT/usr/sbin/sshd ]] || die "there is no sshd in $ROOT"
  [[ -z $TOKEN_FILE || -r $TOKEN_FILE ]] || die "cannot read $TOKEN_FILE"
  NODE=$(command -v node) && NODE=$(readlink -f -- "$NODE") || NODE=/usr/bin/node
}

# What the agent of a worker is told; boot copies the folder to /etc/orion.
write_agent_files() {
  local dir=$STATE/$1/agent file=/etc/orion/join-token
  ((AGENT)) || return 0
  place_worker "$1"
  mkdir -m 700 -- "$dir"
  (
    umask 077
    if [[ -n $TOKEN_FILE ]]; then cat -- "$TOKEN_FILE" >"$dir/join-token"; else file=''; fi
    printf '%s\n' "API_ENDPOINT=${ENDPOINT/127.0.0.1/"$(host_address)"}" "MY_HOST_PORT=$PORT" "MY_HOSTNAME=$1" "MY_ADDRESS=$ADDRESS" \
      "ORION_LOCAL_SSH=$LISTEN:$PORT" ${file:+"ORION_JOIN_TOKEN_FILE=$file"} ${LABELS:+"ORION_LABELS=$LABELS"} \
      ${CPUS:+"ORION_TEST_CONSTANTS={\"cpus\":$CPUS}"} "${AGENT_ENV[@]}" >"$dir/agent.env"
  )
}

spawn_worker() {
  local spaces=(--mount --pid --uts --ipc) host_net
  if [[ $NETWORK != host ]]; then spaces+=(--net); fi
  mkdir -p -- "$STATE/$1"/{upper,work,root,logs}
  rm -f -- "$STATE/$1/pid"
  exec {host_net}</proc/self/ns/net
  ORION_WORKERS=$STATE setsid unshare "${spaces[@]}" --fork --kill-child \
    bash "$HERE/lib/worker-boot.sh" "$1" "$PORT" "$PROJECT" "$NODE" "$host_net" \
    </dev/null >>"$STATE/boot.log" 2>&1 {STATE_LOCK}>&- {NAP}>&- &
  exec {host_net}<&-
}

# Until its sshd listens, as the kernel's table of sockets says; connecting would leave lines in its log.
await_worker() {
  local hex tcp i octets
  place_worker "$1"
  IFS=. read -ra octets <<<"$LISTEN"
  printf -v hex '%02X%02X%02X%02X:%04X 00000000:0000 0A' "${octets[3]}" "${octets[2]}" "${octets[1]}" "${octets[0]}" "$PORT"
  for ((i = 0; i < 4000; i++)); do
    if find_init "$1"; then
      { IFS= read -rd '' tcp <"/proc/$PID/net/tcp"; } 2>/dev/null || :
      if [[ ${tcp-} == *"$hex"* ]]; then return; fi
    fi
    nap 0.005
  done
  tail -n 20 -- "$STATE/boot.log" "$STATE/$1"/logs/*.log >&2 || :
  die "$1 does not listen on $LISTEN:$PORT"
}

print_worker() {
  local key='' type blob path=${STATE//\\/\\\\}
  judge_worker "$1"
  place_worker "$1"
  if [[ -s $STATE/$1/upper/etc/ssh/ssh_host_ed25519_key.pub ]]; then
    read -r type blob _ <"$STATE/$1/upper/etc/ssh/ssh_host_ed25519_key.pub"
    key="$type $blob"
  fi
  printf '{"name":"%s","address":"%s","port":%d,"pid":%s,"state":"%s","host_key":"%s","logs":"%s"}\n' \
    "$1" "$ADDRESS" "$PORT" "${PID:-null}" "$WORKER_STATE" "$key" "${path//\"/\\\"}/$1/logs"
}

launch() {
  local i last=0 dir began=${EPOCHREALTIME/./} names=()
  ((AGENT == 0)) || [[ -f $PROJECT/dist/orion-agent.js ]] || die 'dist/orion-agent.js is missing: run npm run build first'
  open_state
  lock_state
  build_template
  for dir in "$STATE"/worker-*/; do
    i=${dir%/} i=${i##*/worker-}
    if [[ $i != '*' ]] && ((i > last)); then last=$i; fi
  done
  ((last + COUNT <= 250)) || die 'a subnet holds 250 workers; use another --state-dir for more'
  for ((i = last + 1; i <= last + COUNT; i++)); do
    names+=("worker-$i")
    mkdir -m 700 -- "$STATE/worker-$i"
    write_agent_files "worker-$i"
    spawn_worker "worker-$i"
  done
  for i in "${names[@]}"; do await_worker "$i"; done
  for i in "${names[@]}"; do print_worker "$i"; done
  say "$COUNT workers up in $(((${EPOCHREALTIME/./} - began) / 1000)) ms"
}

with_worker() {
  state_is_mounted && [[ -d $STATE/$NAME ]] || die "no $NAME in $STATE"
  open_state
}

start() {
  if find_init "$NAME"; then die "$NAME runs already"; fi
  if ((FRESH)); then rm -rf -- "$STATE/$NAME"/{upper,work}; fi
  spawn_worker "$NAME"
  await_worker "$NAME"
  print_worker "$NAME"
}

run_in_worker() {
  find_init "$NAME" || die "$NAME does not run"
  exec nsenter -t "$PID" -m -u -i -p -n -r --wdns=/root env -i "TERM=${TERM:-dumb}" HOME=/root USER=root LOGNAME=root \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${COMMAND[@]}"
}

each_worker() {
  local dir
  for dir in "$STATE"/worker-*/; do
    [[ ! -d $dir ]] || { dir=${dir%/}; "$1" "${dir##*/}"; }
  done
}

remove() {
  if state_is_mounted; then
    open_state
    lock_state
    each_worker kill_worker
    kill_strays
    umount -- "$STATE" 2>/dev/null || umount -l -- "$STATE"
    exec {STATE_LOCK}<&-
  fi
  [[ ! -d $STATE ]] || rmdir -- "$STATE" || die "$STATE holds files that are not ours"
}

parse_arguments "$@"
check_arguments
if ((DOCKER)); then
  run_docker
  exit
fi
case $VERB in
  launch) launch ;;
  list) if state_is_mounted; then open_state; each_worker print_worker; fi ;;
  remove) remove ;;
  *)
    with_worker
    case $VERB in
      kill) kill_worker "$NAME" ;;
      stop) stop_worker "$NAME" ;;
      freeze) freeze_worker "$NAME" ;;
      thaw) signal_all "$NAME" CONT || die "$NAME does not run" ;;
      cut) cut_worker "$NAME" "$WAY" ;;
      mend) mend_worker "$NAME" ;;
      exec) run_in_worker ;;
      start) lock_state; start ;;
    esac ;;
esac
