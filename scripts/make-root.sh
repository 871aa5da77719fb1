#!/usr/bin/env bash
# Makes the root file system of another Linux for scripts/launch-workers.sh --root, and prints its path. What was made before is used again; it lies in
# node_modules/.cache/roots, some 150 to 250 MB each. Must run as root; needs debootstrap. Usage: scripts/make-root.sh debian11|debian12|debian13|ubuntu24|busybox
set -euo pipefail
umask 022
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
CACHE=$PROJECT/node_modules/.cache/roots
DEBIAN=${ORION_DEBIAN_MIRROR:-http://deb.debian.org/debian}
UBUNTU=${ORION_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
# What any machine with an sshd has. libstdc++6 comes with apt.
PACKAGES=openssh-server,python3,procps,libpam-modules,ca-certificates
# Changes with what is below: a root that was made otherwise is made anew.
VERSION=1

die() { printf 'make-root: %s\n' "$*" >&2; exit 1; }

# The fourth argument, where there is one, is debootstrap's script for the suite: an older debootstrap does not know the newest suites.
bootstrap() {
  local suite=$1 root=$2 mirror=$3 script=${4:+/usr/share/debootstrap/scripts/$4}
  shift $(($# < 4 ? 3 : 4))
  debootstrap --variant=minbase --include="$PACKAGES" "$@" "$suite" "$root" "$mirror" ${script:+"$script"} >&2
  rm -rf -- "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,i18n} "$root"/etc/ssh/ssh_host_* "$root"/dev/*
}

# Ubuntu's keys come from Debian's own package of them, which apt has verified.
ubuntu() {
  local debian keys=$1.keys
  debian=$("$0" debian13)
  mkdir -p -- "$keys"
  cp -L /etc/resolv.conf "$debian/etc/resolv.conf" 2>/dev/null || :
  chroot "$debian" sh -c 'apt-get -qq update && cd /tmp && apt-get -qq download ubuntu-keyring' >&2
  dpkg-deb -x "$debian"/tmp/ubuntu-keyring_*.deb "$keys"
  rm -rf -- "$debian"/tmp/ubuntu-keyring_* "$debian"/var/lib/apt/lists/*
  bootstrap noble "$1" "$UBUNTU" gutsy --keyring="$keys/usr/share/keyrings/ubuntu-archive-keyring.gpg" --components=main,universe
  rm -rf -- "$keys"
}

# BusyBox for every command, its ash as the only shell, no PAM, no tools of shadow: what small appliances have. Debian's libraries, sshd and Python.
busybox() {
  local debian root=$1 list
  debian=$("$0" debian12)
  mkdir -p -- "$root"/{bin,sbin,usr/{bin,sbin,lib,local/bin},etc/ssh,var/{log,lib,spool/cron/crontabs},run,tmp,root,home,proc,sys,dev,opt}
  chmod 1777 "$root/tmp" && chmod 700 "$root/root"
  cp -a "$debian"/usr/lib/{x86_64-linux-gnu,aarch64-linux-gnu,openssh,python3,python3.*,ssl} "$root/usr/lib/" 2>/dev/null || :
  cp -a "$debian"/usr/lib64 "$root/usr/" 2>/dev/null || :
  ln -s usr/lib "$root/lib"
  [[ ! -d $debian/usr/lib64 ]] || ln -s usr/lib64 "$root/lib64"
  cp -a "$debian"/usr/sbin/sshd "$root/usr/sbin/"
  cp -aL "$debian"/usr/bin/{ssh-keygen,python3} "$root/usr/bin/"
  cp -aL "$(type -P busybox)" "$root/bin/busybox"
  list=$("$root/bin/busybox" --list | grep -vx busybox)
  for name in $list; do [[ -e $root/usr/bin/$name || -e $root/usr/sbin/$name ]] || ln -s busybox "$root/bin/$name"; done
  printf 'root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$root/etc/group"
  printf 'root:*:19000:0:99999:7:::\nsshd:!:19000::::::\nnobody:*:19000::::::\n' >"$root/etc/shadow"
  chmod 640 "$root/etc/shadow"
  printf 'NAME=BusyBox\nPRETTY_NAME="BusyBox"\n' >"$root/etc/os-release"
  printf '/bin/sh\n' >"$root/etc/shells"
  cp -a "$debian"/etc/{ssl,ld.so.conf,ld.so.conf.d,ld.so.cache,nsswitch.conf} "$root/etc/" 2>/dev/null || :
}

make() {
  case $NAME in
    debian11) bootstrap bullseye "$1" "$DEBIAN" ;;
    debian12) bootstrap bookworm "$1" "$DEBIAN" ;;
    debian13) bootstrap trixie "$1" "$DEBIAN" ;;
    ubuntu24) ubuntu "$1" ;;
    busybox) busybox "$1" ;;
    *) die "no such system: $NAME" ;;
  esac
}

NAME=${1-}
ROOT=$CACHE/$NAME-$VERSION
((EUID == 0)) || die 'must run as root'
mkdir -p -- "$CACHE"
exec {LOCK}>"$CACHE/$NAME.lock"
flock "$LOCK"
if [[ ! -d $ROOT ]]; then
  command -v debootstrap >/dev/null || die 'debootstrap is missing: scripts/install-deps.sh --docker brings it'
  # Not in the project's own folder: debootstrap does not work in a path with a blank.
  BUILD=$(mktemp -d /var/tmp/orion-root.XXXXXX)
  trap 'rm -rf -- "$BUILD"' EXIT
  make "$BUILD/root" {LOCK}>&-
  rm -rf -- "$ROOT.new"
  mv -- "$BUILD/root" "$ROOT.new"
  mv -- "$ROOT.new" "$ROOT"
fi
printf '%s\n' "$ROOT"
