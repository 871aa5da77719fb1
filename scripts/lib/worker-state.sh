# Sourced by launch-workers.sh. The state directory of one launch: a tmpfs that carries its subnet in the name of its
# source, a template of the root that all workers share, and a folder a worker.
#
#   $STATE/template          lower layer of every worker's root
#   $STATE/base              with --root: a link to the file system below it
#   $STATE/worker-N/upper    what the worker wrote; kept while it is down, emptied by --fresh
#   $STATE/worker-N/logs     sshd.log, agent.log, init.log
# shellcheck shell=bash

# The lock lies on a directory that is always there, so that it leaves nothing behind.
SUBNET_LOCK=/run
SUBNET_MARK=orion-workers-

say() { printf '%s\n' "$*" >&2; }
die() { say "launch-workers: $*"; exit 1; }
usage_error() { say "launch-workers: $* (see --help)"; exit 2; }

# A nap without a process: reads from a descriptor that never has anything.
exec {NAP}<> <(:)
nap() { read -rt "$1" -u "$NAP" || :; }

state_is_mounted() { mountpoint -q -- "$STATE"; }

net_of_subnet() { if [[ $NETWORK == host ]]; then echo 127; else echo 10; fi; }

# Which 127.X.Y or 10.X.Y nobody has: not another launch (their mounts say so), not a listener or a route of anybody else.
subnet_is_free() {
  local net x y hex tcp mounts
  IFS=. read -r net x y <<<"$1"
  printf -v hex '%02X%02X%02X:' "$y" "$x" "$net"
  IFS= read -rd '' tcp </proc/net/tcp || :
  IFS= read -rd '' mounts </proc/self/mounts || :
  [[ $tcp != *"$hex"* && $mounts != *"$SUBNET_MARK$1 "* ]] || return 1
  [[ $net == 127 ]] || ! ip -4 route show table all | grep -qF "$1."
}

choose_subnet() {
  local i net first=20 count=20000
  net=$(net_of_subnet)
  if [[ $net == 10 ]]; then first=214 count=10000; fi
  for ((i = 0; i < count; i++)); do
    SUBNET=$net.$((first + i / 250)).$((1 + i % 250))
    if subnet_is_free "$SUBNET"; then return; fi
  done
  die 'no free subnet'
}

# Mounts the state directory, or takes up the one that is there. Sets SUBNET and NETWORK.
open_state() {
  local lock
  exec {lock}<"$SUBNET_LOCK"
  flock "$lock"
  if state_is_mounted; then
    [[ -f $STATE/subnet ]] || die "$STATE is a mount of somebody else's"
    read -r SUBNET NETWORK <"$STATE/subnet"
  else
    mount_state
  fi
  exec {lock}<&-
}

mount_state() {
  mkdir -p -- "$STATE"
  rmdir -- "$STATE" 2>/dev/null || die "$STATE is not empty; give another --state-dir"
  mkdir -- "$STATE"
  if [[ -z $SUBNET ]]; then choose_subnet; elif ! subnet_is_free "$SUBNET"; then die "subnet $SUBNET is in use"; fi
  mount -t tmpfs -o mode=0700 "$SUBNET_MARK$SUBNET" "$STATE"
  printf '%s\n' "$SUBNET $NETWORK" >"$STATE/subnet"
}

# One launch-workers at a time in a state directory; the next one waits.
lock_state() {
  exec {STATE_LOCK}<"$STATE"
  flock "$STATE_LOCK"
  [[ -f $STATE/subnet ]] || die "$STATE was removed meanwhile"
}

# The lower layer: a copy of /etc without the host's secrets and Orion accounts, an empty skeleton of the rest.
build_template() {
  [[ -e $STATE/template.ready ]] && return
  local t=$STATE/template
  rm -rf -- "$t"
  mkdir -m 755 -- "$t"
  if [[ -n $ROOT ]]; then
    template_over_root "$t"
    return
  fi
  (
    cd -- "$t"
    mkdir -p usr opt proc sys run dev/pts dev/shm dev/mqueue home srv mnt media var/{log,lib,cache,spool,opt,local}
    mkdir -m 700 root && mkdir -m 1777 tmp var/tmp
    ln -s /run var/run && ln -s /run/lock var/lock
    skeleton_links
    skeleton_devices
    cp -a /etc .
    for dir in var/mail var/spool/cron var/lib/dpkg/status var/log/lastlog; do
      [[ ! -e /$dir ]] || cp -a --parents "/$dir" .
    done
    ln -sfn ../mail var/spool/mail
    find var/mail var/spool/cron -type f ! -name .SEQ -delete 2>/dev/null || :
    : >var/log/wtmp && : >var/log/btmp && chmod 600 var/log/btmp
    strip_etc etc
  )
  write_sshd_config "$t/etc"
  : >"$STATE/template.ready"
}

# Over another system's root lies what a sandbox needs, and its own /etc without secrets.
template_over_root() {
  local root
  root=$(realpath -- "$ROOT")
  ln -sfn -- "$root" "$STATE/base"
  (
    cd -- "$1"
    mkdir -p proc sys run dev/pts dev/shm dev/mqueue mnt home tmp var/tmp && chmod 1777 tmp var/tmp
    skeleton_devices
    cp -a -- "$root/etc" .
    strip_etc etc
    mkdir -p etc/ssh
  )
  write_sshd_config "$1/etc"
  : >"$STATE/template.ready"
}

skeleton_links() {
  local dir
  for dir in bin sbin lib lib32 lib64 libx32; do
    if [[ -L /$dir ]]; then cp -a "/$dir" .; elif [[ -d /$dir ]]; then mkdir "$dir"; fi
  done
}

skeleton_devices() {
  cp -a /dev/{null,zero,full,random,urandom,tty} dev/
  ln -s pts/ptmx dev/ptmx
  ln -s /proc/self/fd dev/fd
  ln -s /proc/self/fd/0 dev/stdin && ln -s /proc/self/fd/1 dev/stdout && ln -s /proc/self/fd/2 dev/stderr
}

strip_etc() {
  local file
  for file in passwd shadow group gshadow subuid subgid; do
    rm -f -- "$1/$file-"
    [[ ! -e $1/$file ]] || sed -i -E '/^(orn-|orion-mgmt:)/d; s/^root:[$!][^:]*:/root:*:/' "$1/$file"
  done
  rm -rf -- "$1"/ssh/ssh_host_* "$1"/ssh/sshd_config.d "$1"/ssl/private "$1"/mysql/debian.cnf "$1"/orion "$1"/nologin
}

write_sshd_config() {
  cat >"$1/ssh/sshd_config" <<'CONFIG'
HostKey /etc/ssh/ssh_host_ed25519_key
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
PrintMotd no
MaxStartups 500:30:1000
MaxSessions 100
LoginGraceTime 60
Subsystem sftp internal-sftp
AcceptEnv LANG LC_*
PidFile none
CONFIG
  [[ -e $1/pam.d/common-session ]] || return 0
  printf 'UsePAM yes\n' >>"$1/ssh/sshd_config"
  # Debian's file without motd and mail, which cost time, and without loginuid, which a namespace may be refused.
  cat >"$1/pam.d/sshd" <<'PAM'
auth      include   common-auth
account   required  pam_nologin.so
@include common-account
session   optional  pam_keyinit.so force revoke
@include common-session
session   required  pam_limits.so
session   required  pam_env.so
PAM
  sed -i '/pam_systemd/d' "$1/pam.d/common-session"
}
