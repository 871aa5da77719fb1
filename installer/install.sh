#!/bin/sh
# Makes this machine a node of an Orion fleet, or brings its agent up to date:
#
#   curl -fsSL @ORION_URL@/install.sh | sudo ORION_TOKEN=orion_join_... sh
#
# ORION_TOKEN_FILE   instead of ORION_TOKEN, which others may see in the list of processes; ORION_TOKEN=none waits for an operator
# ORION_CA_FILE      certificates to trust besides the usual ones
# ORION_INSTALL_NODE yes: takes Node.js from apt or apk where the agent needs it and it is missing
# https_proxy, http_proxy, no_proxy   an HTTP proxy for the download and for the agent
# ORION_INSTALL_NEW_HOST_KEY yes (or the argument --new-host-key: sh -s -- --new-host-key): makes new SSH host keys first, for a machine that was made from an
#                    image of another; what the image has of an agent's state is removed
# and the settings of the agent, which stay as they are when they are not given: MY_HOST_PORT, MY_ADDRESS, MY_HOSTNAME, ORION_LABELS, ...
#
# Needs root, an sshd with a host key and Python 3. The agent is self-contained where glibc runs on x86-64 or arm64; elsewhere it needs Node.js 20 or newer.
# Everything is in functions that the last line calls: what was cut off on its way does nothing.
set -eu

URL='@ORION_URL@'
SCRIPT_SHA256='@AGENT_SHA256@'
X64_SHA256='@AGENT_X64_SHA256@'
ARM64_SHA256='@AGENT_ARM64_SHA256@'
CONTROL='@CONTROL_FINGERPRINT@'
# The last line has settings of earlier releases: the agent gets them, and says that they have no effect.
SETTINGS='API_ENDPOINT MY_HOST_PORT MY_HOSTNAME MY_ADDRESS ORION_TUNNEL ORION_LOCAL_SSH ORION_LABELS ORION_UID_RANGE ORION_HOST_KEY_FILE
  ORION_CA_FILE ORION_CONTROL_FINGERPRINT LOG_LEVEL ORION_NODE http_proxy https_proxy no_proxy
  ORION_STATE_DIR ORION_FENCE_GRACE_SECONDS ORION_MANAGE_ACCOUNTS ORION_CPUS ORION_MEMORY_MB'
STATE=/var/lib/orion
PROGRAM=/opt/orion-agent/orion-agent
COMMAND=/usr/local/bin/orion-agent
CONFIG=/etc/orion-agent
UNIT=/etc/systemd/system/orion-agent.service
INIT_SCRIPT=/etc/init.d/orion-agent
FILES="$PROGRAM $PROGRAM.js $COMMAND $UNIT $INIT_SCRIPT $CONFIG/env $CONFIG/token $CONFIG/ca.pem"
# The control plane answers in a second, and has logged in to a new machine some seconds later.
ANSWER_SECONDS=30 VERIFY_SECONDS=60

say() { printf 'orion: %s\n' "$*"; }
die() { printf 'orion: %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

main() {
  LC_ALL=C
  export LC_ALL
  umask 022
  NEW_HOST_KEY=${ORION_INSTALL_NEW_HOST_KEY-}
  for argument in "$@"; do
    case $argument in --new-host-key) NEW_HOST_KEY=yes ;; *) die "no such argument: $argument" ;; esac
  done
  [ "$(id -u)" = 0 ] || die "this must run as root: curl ... $URL/install.sh | sudo ORION_TOKEN=... sh"
  case $URL in https:*) ;; *) say "warning: $URL is not encrypted: whoever is on the way can become root here" ;; esac
  choose_agent
  read_settings
  read_token
  # Beside where the agent will be: /tmp may be mounted noexec, or be small.
  mkdir -p /opt
  WORK=$(mktemp -d /opt/.orion-agent.XXXXXX)
  INSTALLED='' CHANGED=''
  trap clean_up EXIT
  trap 'exit 130' HUP INT TERM
  has python3 || die "Python 3 is missing, through which the control plane works here: $(how_to_get python3)"
  download
  examine
  if [ "$NEW_HOST_KEY" = yes ]; then make_host_keys; fi
  save_files
  CHANGED=yes
  install_files
  touch "$WORK/started"
  "$COMMAND" restart
  wait_for_answer
  INSTALLED=yes
  wait_for_verification
  report
}

# An installation that failed leaves the machine as it was.
clean_up() {
  if [ -n "$CHANGED" ] && [ -z "$INSTALLED" ]; then roll_back; fi
  rm -rf -- "$WORK"
}

# A first installation goes wholly, with what its agent made; otherwise the files of before come back.
roll_back() {
  if [ -z "$FRESH" ]; then
    for file in $FILES; do
      if [ -e "$WORK/before$file" ]; then cp -p -- "$WORK/before$file" "$file"; else rm -f -- "$file"; fi
    done
    "$COMMAND" restart
  else
    if [ -x "$COMMAND" ]; then "$COMMAND" uninstall >/dev/null || :; fi
    rm -rf -- "$COMMAND" "$UNIT" "$INIT_SCRIPT" "$CONFIG" "${PROGRAM%/*}"
  fi
}

save_files() {
  for file in $FILES; do
    [ -e "$file" ] || continue
    mkdir -p -m 700 -- "$WORK/before${file%/*}"
    cp -p -- "$file" "$WORK/before$file"
  done
}

# Sets what is downloaded and how it is run: NODE is empty for a self-contained agent.
choose_agent() {
  NODE='' AGENT='' SHA256=''
  # By the loader of glibc, which the self-contained agent asks for.
  case $(uname -m) in
    x86_64) if [ -e /lib64/ld-linux-x86-64.so.2 ]; then AGENT=orion-agent-linux-x64.gz SHA256=$X64_SHA256; fi ;;
    aarch64) if [ -e /lib/ld-linux-aarch64.so.1 ]; then AGENT=orion-agent-linux-arm64.gz SHA256=$ARM64_SHA256; fi ;;
  esac
  if [ -z "$SHA256" ]; then
    AGENT=orion-agent.js SHA256=$SCRIPT_SHA256
    find_node
  fi
}

run_agent() { if [ -n "$NODE" ]; then "$NODE" "$WORK/orion-agent.js" "$@"; else "$WORK/orion-agent" "$@"; fi; }

find_node() {
  NODE=$(command -v node || command -v nodejs || :)
  if ! node_will_do && [ "${ORION_INSTALL_NODE-}" = yes ]; then
    check_candidate
    say 'installing Node.js'
    if has apt-get; then
      DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends nodejs >/dev/null || die 'apt-get could not install nodejs'
    elif has apk; then
      apk add --quiet nodejs || die 'apk could not install nodejs'
    fi
    NODE=$(command -v node || command -v nodejs || :)
  fi
  node_will_do || die "Node.js 20 or newer is needed, and $(found_node). Get it from your distribution ($(how_to_get nodejs)) if that is new enough, or from https://nodejs.org; with ORION_INSTALL_NODE=yes this script does the former"
}

# A distribution that is too old is found out before anything of it is installed: Debian 12 has Node.js 18.
check_candidate() {
  if has apt-get; then
    apt-get -qq update >/dev/null || die 'apt-get could not update its lists; nothing was installed'
    offered=$(apt-cache policy nodejs | sed -n 's/^ *Candidate: *//p')
  elif has apk; then
    apk update --quiet || die 'apk could not update its lists; nothing was installed'
    offered=$(apk policy nodejs | sed -n 's/^ *\([0-9][^:]*\):$/\1/p' | tail -n 1)
  else
    return 0
  fi
  major=${offered#*:}
  major=${major%%.*}
  case $major in
    '' | *[!0-9]*) die "this distribution offers no package nodejs; nothing was installed. Install Node.js 20 or newer from https://nodejs.org, then run this again" ;;
  esac
  [ "$major" -ge 20 ] || die "Node.js 20 or newer is needed, and this distribution offers $offered; nothing was installed. Install it from https://nodejs.org or from a package source that has it, then run this again without ORION_INSTALL_NODE"
}

node_will_do() { [ -n "$NODE" ] && "$NODE" -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; }
found_node() { if [ -n "$NODE" ]; then printf '%s is %s' "$NODE" "$("$NODE" --version 2>&1)"; else printf 'there is none'; fi; }
how_to_get() { if has apk; then printf 'apk add %s' "$1"; elif has dnf; then printf 'dnf install %s' "$1"; else printf 'apt-get install %s' "$1"; fi; }

# What is given now, and of the last time what is not. The values end up in a file of lines, so the characters are few.
read_settings() {
  FRESH=yes
  if [ -e "$PROGRAM" ] || [ -e "$PROGRAM.js" ]; then FRESH=''; fi
  # What this script says is newer than what an earlier one left.
  ORION_CONTROL_FINGERPRINT=${ORION_CONTROL_FINGERPRINT:-$CONTROL}
  http_proxy=${http_proxy:-${HTTP_PROXY-}} https_proxy=${https_proxy:-${HTTPS_PROXY-}} no_proxy=${no_proxy:-${NO_PROXY-}}
  for name in $SETTINGS; do
    eval "value=\${$name-}"
    if [ -z "$value" ] && [ -f "$CONFIG/env" ]; then
      value=$(sed -n "s/^$name=//p" "$CONFIG/env")
    fi
    case $value in
      *[!]A-Za-z0-9\ ._/:@=+,%~*[-]*) die "$name holds a character that it must not" ;;
    esac
    eval "$name=\$value"
  done
  # shellcheck disable=SC2034
  ORION_NODE=$NODE
  API_ENDPOINT=${API_ENDPOINT:-$URL}
  CA=$ORION_CA_FILE
  if [ -n "$CA" ]; then
    [ -r "$CA" ] || die "ORION_CA_FILE: $CA cannot be read"
    ORION_CA_FILE=$CONFIG/ca.pem
  fi
}

# Out of the environment at once: nothing that is started here has to know it.
read_token() {
  TOKEN=${ORION_TOKEN-}
  unset ORION_TOKEN
  if [ -n "${ORION_TOKEN_FILE-}" ]; then
    TOKEN=$(cat -- "$ORION_TOKEN_FILE") || die 'ORION_TOKEN_FILE cannot be read'
  fi
  case $TOKEN in
    '') enrolled || die 'ORION_TOKEN is not set: an admin makes a join token with "orion token create". With ORION_TOKEN=none the machine waits until "orion node approve"' ;;
    *[!A-Za-z0-9_-]*) die 'ORION_TOKEN is not a join token' ;;
  esac
}

# A credential that came with the image is another machine's.
enrolled() { [ "$NEW_HOST_KEY" != yes ] && [ -s "$STATE/agent/credential" ]; }
# Since the agent was started anew.
is_new() { [ -n "$(find "$STATE/agent/$1" -newer "$WORK/started" 2>/dev/null)" ]; }

# One new key for each that is there, of the same type. They stay when the installation fails later: those of before are another machine's. sshd keeps its sessions.
make_host_keys() {
  key=${ORION_HOST_KEY_FILE:-/etc/ssh/ssh_host_ed25519_key.pub}
  has ssh-keygen || die 'ssh-keygen is missing: nothing was changed'
  mkdir -m 700 -- "$WORK/keys"
  for public in "$key" /etc/ssh/ssh_host_*_key.pub; do
    private=${public%.pub}
    new=$WORK/keys/${private##*/}
    if [ ! -s "$private" ] || [ -e "$new" ]; then continue; fi
    type=$(ssh-keygen -lf "$public" | sed 's/.*(\(.*\))$/\1/' | tr '[:upper:]' '[:lower:]')
    ssh-keygen -q -N '' -C '' -t "$type" -f "$new" </dev/null || die "no new $type key could be made: nothing was changed"
    printf '%s\n' "$private" >>"$WORK/privates"
  done
  if [ -x "$COMMAND" ]; then "$COMMAND" stop; fi
  rm -rf -- "$STATE/agent"
  while IFS= read -r private; do
    for file in "$private" "$private.pub"; do
      # The owner and the mode stay.
      cp -p -- "$file" "$file.new"
      cat -- "$WORK/keys/${file##*/}" >"$file.new"
      mv -f -- "$file.new" "$file"
    done
  done <"$WORK/privates"
  reload_sshd
  say "this machine has new SSH host keys: $(ssh-keygen -lf "$key")"
}

# SIGHUP makes the sshd that listens read its keys anew, and leaves its sessions alone.
reload_sshd() {
  if [ -d /run/systemd/system ] && has systemctl; then
    systemctl --quiet reload ssh 2>/dev/null || systemctl --quiet reload sshd 2>/dev/null || say 'warning: sshd could not be reloaded; it shows its new key once it was'
  else
    for process in /proc/[0-9]*; do
      # Its parent is no sshd: it serves no session.
      if is_sshd "$process" && ! is_sshd "/proc/$(sed -n 's/^PPid:[[:space:]]*//p' "$process/status" 2>/dev/null)"; then kill -HUP "${process#/proc/}"; fi
    done
  fi
}

# Not one of a container on this machine.
is_sshd() { [ "$(cat "$1/comm" 2>/dev/null)" = sshd ] && [ "$(readlink "$1/ns/pid")" = "$(readlink /proc/self/ns/pid)" ]; }

# Python is needed anyway, knows TLS and proxies, and is on every machine alike.
FETCH='
import hashlib, os, ssl, sys, urllib.request, zlib
url, sha256, file, ca = sys.argv[1:]
try:
    trust = ssl.create_default_context()
    if ca:
        trust.load_verify_locations(ca)
    with urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust)).open(url, timeout=30) as answer:
        data = answer.read(1 << 28)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        sys.exit("%s: wrong checksum: it is %s instead of %s" % (url, found, sha256))
    unpack = zlib.decompressobj(31) if url.endswith(".gz") else None
    with open(file, "wb") as copy:
        for at in range(0, len(data), 1 << 20):
            piece = data[at:at + (1 << 20)]
            copy.write(unpack.decompress(piece) if unpack else piece)
        copy.flush()
        # Linux maps what it has of a file in memory beside each page that a program touches: 18 MB of an agent that was just written.
        os.fsync(copy.fileno())
        os.posix_fadvise(copy.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    os.chmod(file, 0o755)
except Exception as error:
    sys.exit("%s: %s" % (url, getattr(error, "reason", error)))
'

# While the control plane is being upgraded, script and agent may come from two versions of it: hence again.
download() {
  tries=3
  export http_proxy https_proxy no_proxy
  until reason=$(python3 -I -c "$FETCH" "$URL/$AGENT" "$SHA256" "$WORK/orion-agent" "$CA" 2>&1); do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || die "the agent could not be downloaded, nothing was changed: $reason"
    sleep 1
  done
  # A module without a name to go by: Node 20 takes it for one by its ending alone.
  if [ -n "$NODE" ]; then mv -- "$WORK/orion-agent" "$WORK/orion-agent.js"; fi
  reason=$(run_agent --version 2>&1) ||
    die "the agent does not run here, nothing was changed: $reason. It needs glibc 2.28 and libstdc++ ($(how_to_get "$(if has apt-get; then echo libstdc++6; else echo libstdc++; fi)"))"
}

# By the agent that was downloaded, with the settings that it would get. A machine that is a node already gets its update all the same.
examine() {
  failed=''
  found=$(
    for name in $SETTINGS; do
      eval "value=\$$name"
      [ -z "$value" ] || export "$name=$value"
    done
    [ -z "$CA" ] || export ORION_CA_FILE="$CA"
    run_agent doctor
  ) || failed=yes
  found=$(printf '%s\n' "$found" | sed '/^✓/d')
  if [ -n "$failed" ] && ! enrolled; then
    printf '%s\n' "$found" >&2
    die 'this machine cannot be a node as it is, and nothing was changed on it. Mend what is marked ✗, then run this again'
  fi
  [ -z "$found" ] || printf '%s\n' "$found"
}

install_files() {
  mkdir -p -- "${PROGRAM%/*}" "$CONFIG" "${COMMAND%/*}"
  chmod 755 "${PROGRAM%/*}"
  chmod 700 "$CONFIG"
  # Where the agent notes what the control plane answers.
  mkdir -p -- "$STATE"
  mkdir -p -m 700 -- "$STATE/agent"
  umask 077
  for name in $SETTINGS; do
    eval "value=\$$name"
    [ -z "$value" ] || printf '%s=%s\n' "$name" "$value"
  done >"$WORK/env"
  put 600 "$WORK/env" "$CONFIG/env"
  case $TOKEN in
    '') ;;
    none) rm -f -- "$CONFIG/token" ;;
    *)
      printf '%s\n' "$TOKEN" >"$WORK/token"
      put 600 "$WORK/token" "$CONFIG/token"
      ;;
  esac
  if [ -n "$CA" ] && [ "$CA" != "$ORION_CA_FILE" ]; then put 644 "$CA" "$ORION_CA_FILE"; fi
  print_command >"$WORK/command"
  put 755 "$WORK/command" "$COMMAND"
  if [ -n "$NODE" ]; then
    mv -f -- "$WORK/orion-agent.js" "$PROGRAM.js"
    rm -f -- "$PROGRAM"
  else
    mv -f -- "$WORK/orion-agent" "$PROGRAM"
    rm -f -- "$PROGRAM.js"
  fi
  install_service
}

# Whole or not at all.
put() {
  cp -- "$2" "$3.new"
  chmod "$1" "$3.new"
  mv -f -- "$3.new" "$3"
}

install_service() {
  if [ -d /run/systemd/system ] && has systemctl; then
    print_unit >"$WORK/unit"
    put 644 "$WORK/unit" "$UNIT"
    systemctl daemon-reload
    systemctl --quiet enable orion-agent
  elif [ -d /run/openrc ] && has rc-service; then
    print_init_script >"$WORK/init"
    put 755 "$WORK/init" "$INIT_SCRIPT"
    rc-update --quiet add orion-agent default
  else
    say 'no systemd and no OpenRC runs here: let whatever starts this machine run "orion-agent start"'
  fi
}

# A refusal that no waiting mends undoes the installation.
wait_for_answer() {
  tries=$ANSWER_SECONDS
  until is_new status || [ $tries = 0 ]; do
    case $(is_new refusal && sed -n 1p "$STATE/agent/refusal") in
      408 | 429) ;;
      4??) [ "$(sed -n 3p "$STATE/agent/refusal")" = retry ] || die "$API_ENDPOINT does not take this machine in, and nothing was changed on it: $(sed -n 2p "$STATE/agent/refusal")" ;;
    esac
    sleep 1
    tries=$((tries - 1))
  done
}

# The control plane logs in to a machine before it calls it alive; what waits for a person is not waited for here.
wait_for_verification() {
  tries=$VERIFY_SECONDS
  until ! is_new status || [ $tries = 0 ]; do
    case $(sed -n 1p "$STATE/agent/status") in alive | pending | quarantined) return 0 ;; esac
    sleep 1
    tries=$((tries - 1))
  done
}

report() {
  code=0
  "$COMMAND" status || code=$?
  # That it waits is what was asked for.
  if [ "$TOKEN" = none ] && [ $code = 5 ]; then code=0; fi
  return $code
}

print_unit() {
  cat <<'UNIT'
[Unit]
Description=Orion agent: this machine as a node of an Orion fleet
Wants=network-online.target
After=network-online.target ssh.service sshd.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/orion-agent run
# With 0 it ends when it was told to leave, or retired.
Restart=on-failure
RestartSec=5
# This machine is a copy of another one.
RestartPreventExitStatus=78

[Install]
WantedBy=multi-user.target
UNIT
}

print_init_script() {
  cat <<'INIT'
#!/sbin/openrc-run
description="Orion agent: this machine as a node of an Orion fleet"
command=/usr/local/bin/orion-agent
command_args=supervise
command_background=yes
pidfile=/run/orion-agent.pid
output_log=/var/log/orion-agent.log
error_log=/var/log/orion-agent.log

depend() {
  need net
  after sshd
}
INIT
}

print_command() {
  cat <<'COMMAND'
#!/bin/sh
# Orion's agent on this machine, as its installer set it up.
set -eu

PROGRAM=/opt/orion-agent/orion-agent
COMMAND=/usr/local/bin/orion-agent
CONFIG=/etc/orion-agent
STATE=/var/lib/orion
UNIT=/etc/systemd/system/orion-agent.service
INIT_SCRIPT=/etc/init.d/orion-agent
PID_FILE=/run/orion-agent.pid
LOG=/var/log/orion-agent.log

usage() {
  cat <<'HELP'
orion-agent: this machine as a node of an Orion fleet

  orion-agent status      whether it runs, and what the control plane last said of this machine, and when
  orion-agent doctor      whether the machine has what a node needs, and what to do where not; changes nothing. --json, and 1 when a check fails
  orion-agent start | stop | restart
  orion-agent leave       hand over the leases, leave the fleet, remove everything of Orion from this machine
  orion-agent uninstall   the same without asking the control plane, which will find the machine dead
  orion-agent run         in the foreground, as a service does

Exit codes of status: 0 the machine is in service and was heard in time; 1 the agent does not run; 3 not enrolled;
4 no contact with the control plane; 5 enrolled, and not in service (waits for its verification or an operator, suspect, dead).

Settings are in /etc/orion-agent/env; the installer, run again, changes them and brings the agent up to date.
HELP
}

die() { printf 'orion-agent: %s\n' "$*" >&2; exit 1; }

# A token that has done its work is deleted.
load_settings() {
  # shellcheck disable=SC2163
  while IFS= read -r line; do export "$line"; done <"$CONFIG/env"
  if [ -n "$(find "$STATE/agent/credential" -newer "$CONFIG/token" 2>/dev/null)" ]; then rm -f -- "$CONFIG/token"; fi
  if [ -s "$CONFIG/token" ]; then export ORION_JOIN_TOKEN_FILE="$CONFIG/token"; fi
  if [ -e "$PROGRAM.js" ] && [ ! -x "${ORION_NODE-}" ]; then ORION_NODE=$(command -v node) || die 'Node.js is not there any more'; fi
}

# Takes the place of this shell.
become_agent() {
  if [ -e "$PROGRAM.js" ]; then exec "$ORION_NODE" "$PROGRAM.js" "$@"; fi
  exec "$PROGRAM" "$@"
}

enrolled() { [ -s "$STATE/agent/credential" ]; }

runs() {
  if [ -e "$UNIT" ]; then
    systemctl --quiet is-active orion-agent
  elif [ -e "$INIT_SCRIPT" ]; then
    rc-service --quiet orion-agent status
  else
    [ -s "$PID_FILE" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$PID_FILE")/cmdline" | grep -q "$COMMAND supervise"
  fi
}

start() {
  if [ -e "$UNIT" ]; then
    systemctl start orion-agent
  elif [ -e "$INIT_SCRIPT" ]; then
    rc-service --quiet orion-agent start
  elif ! runs; then
    [ ! -s "$LOG" ] || mv -f -- "$LOG" "$LOG.1"
    env -i PATH="$PATH" HOME=/root setsid "$COMMAND" supervise </dev/null >"$LOG" 2>&1 &
    echo $! >"$PID_FILE"
  fi
}

stop() {
  if [ -e "$UNIT" ]; then
    systemctl stop orion-agent
  elif [ -e "$INIT_SCRIPT" ]; then
    rc-service --quiet --ifstarted orion-agent stop
  elif runs; then
    kill -TERM "$(cat "$PID_FILE")"
    tries=20
    while runs; do
      [ $tries -gt 0 ] || die "it does not stop: see $LOG"
      tries=$((tries - 1))
      sleep 1
    done
  fi
}

status() {
  running='the agent runs'
  if ! runs; then running='the agent does not run'; fi
  judge
  echo "$running; $verdict"
  [ "$running" = 'the agent runs' ] || return 1
  return $code
}

# Sets `verdict` and `code`.
judge() {
  word=$(sed -n 1p "$STATE/agent/status" 2>/dev/null || :)
  limit=$(sed -n 2p "$STATE/agent/status" 2>/dev/null || :)
  reason=$(sed -n 2p "$STATE/agent/refusal" 2>/dev/null || :)
  age=$(seconds_since "$STATE/agent/status")
  if ! enrolled && [ -z "$word" ]; then
    code=3 verdict="this machine is not enrolled at $API_ENDPOINT${reason:+: $reason}"
    return 0
  fi
  verdict="this machine is enrolled at $API_ENDPOINT"
  if [ -z "$word" ]; then
    code=4 verdict="$verdict, which has not answered yet${reason:+: $reason}. The agent goes on trying"
    return 0
  fi
  if [ "$age" -gt "${limit:-60}" ]; then
    code=4 verdict="$verdict, which has not answered for $age s and said \"$word\" before${reason:+: $reason}. The agent goes on trying"
    return 0
  fi
  code=5
  case $word in
    alive) code=0 verdict="$verdict and in service" ;;
    pending) verdict="this machine waits until an operator of $API_ENDPOINT lets it in: orion node approve" ;;
    quarantined) verdict="$verdict and quarantined: it waits until an operator lets it in again: orion node approve. \"orion nodes\" shows why" ;;
    unknown) verdict="$verdict and not verified yet: the control plane has to log in here over SSH. If that does not happen, look at the address and the port in \"orion nodes\"" ;;
    suspect | dead) verdict="$verdict and out of service ($word): the control plane cannot log in here over SSH. \"orion nodes\" shows why" ;;
    *) verdict="$verdict and out of service ($word)" ;;
  esac
  verdict="$verdict (heard $age s ago)"
}

seconds_since() { echo $(($(date +%s) - $(stat -c %Y "$1" 2>/dev/null || echo 0))); }

# What an init does elsewhere: starts the agent again when it fails, after growing pauses. One that ends with 0 was told to leave, or retired; with 78 it is a copy of another machine.
supervise() {
  child='' stopping='' pause=1
  trap 'stopping=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || :' TERM INT
  while [ -z "$stopping" ]; do
    began=$(date +%s)
    status=0
    (become_agent) &
    child=$!
    wait "$child" || status=$?
    if [ -n "$stopping" ]; then wait "$child" || :; fi
    if [ $status = 0 ] || [ $status = 78 ] || [ -n "$stopping" ]; then return; fi
    if [ $(($(date +%s) - began)) -gt 60 ]; then pause=1; fi
    echo "the agent ended with $status, it is started again in $pause s"
    sleep $pause &
    child=$!
    wait "$child" || :
    if [ $pause -lt 60 ]; then pause=$((pause * 2)); fi
  done
}

# Removes sshd's settings for accounts of tenants. They hold for the members of a group; without members sshd need not reload.
forget_keys() {
  rm -f -- /etc/ssh/sshd_config.d/00-orion.conf
  if grep -q '^# Orion begin' /etc/ssh/sshd_config 2>/dev/null; then sed -i '/^# Orion begin/,/^# Orion end/d' /etc/ssh/sshd_config; fi
  groupdel orion-keys 2>/dev/null || delgroup orion-keys 2>/dev/null || :
}

# Of this machine, not of a container on it.
is_ours() { [ "$(readlink "$1/ns/pid")" = "$(readlink /proc/self/ns/pid)" ]; }

# The control plane may be at work here, such as at its check of logins, with an account of its own. Without the management account nothing new begins, and
# nothing of what was under way may outlast the agent.
end_work() {
  for process in /proc/[0-9]*; do
    case $(tr '\0' ' ' 2>/dev/null <"$process/cmdline") in
      'sshd: orion-mgmt'* | 'sshd-session: orion-mgmt'* | 'python3 -I -S -'* | *' verify_clean '*) if is_ours "$process"; then kill -TERM "${process#/proc/}" 2>/dev/null || :; fi ;;
    esac
  done
  sleep 1
  for name in $({ sed -n 's/:.*//p' /etc/passwd /etc/group; ls /home "$STATE/accounts"; } 2>/dev/null | sed -n 's/^\(orn-check-[a-z0-9]*\).*/\1/p' | sort -u); do
    pkill -KILL -u "$name" 2>/dev/null || :
    userdel "$name" 2>/dev/null || deluser "$name" 2>/dev/null || :
    groupdel "$name" 2>/dev/null || delgroup "$name" 2>/dev/null || :
    for file in passwd shadow group gshadow passwd- shadow- group- gshadow-; do
      if [ -e "/etc/$file" ]; then sed -i "/^$name:/d" "/etc/$file"; fi
    done
    rm -rf -- "/home/$name" "/etc/security/limits.d/$name.conf"
  done
  rm -rf -- /run/.orion-verify.*
}

uninstall() {
  if grep '^orn-' /etc/passwd | grep -qv '^orn-check-'; then die 'there are accounts of tenants on this machine: use "orion-agent leave". Without a control plane the agent ends them when their leases end'; fi
  stop
  rm -rf -- "$STATE/agent"
  # Not enrolled any more, it asks nobody, and removes the management account.
  (LOG_LEVEL=warn; export LOG_LEVEL; become_agent leave)
  end_work
  if [ -e "$UNIT" ]; then
    systemctl --quiet disable orion-agent
    rm -f -- "$UNIT"
    systemctl daemon-reload
  elif [ -e "$INIT_SCRIPT" ]; then
    rc-update --quiet delete orion-agent default
    rm -f -- "$INIT_SCRIPT"
  fi
  rm -rf -- "$CONFIG" "${PROGRAM%/*}" "$PID_FILE" "$LOG" "$LOG.1" "$STATE"
  forget_keys
  rm -f -- "$COMMAND"
  echo 'nothing of Orion remains on this machine'
}

main() {
  case ${1-} in
    -h | --help | help | '') usage; return ;;
    start | stop | restart | status | doctor | run | supervise | leave | uninstall) ;;
    *) usage >&2; exit 2 ;;
  esac
  [ "$(id -u)" = 0 ] || die 'this must run as root'
  load_settings
  case $1 in
    run) become_agent ;;
    doctor) become_agent "$@" ;;
    restart) stop; start ;;
    leave) (become_agent leave); uninstall ;;
    *) "$1" ;;
  esac
}

main "$@"
exit
COMMAND
}

{ main "$@" </dev/null; exit; }
