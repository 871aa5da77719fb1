#!/usr/bin/env bash
# Makes a Debian 12 with Node.js (20.11 or newer) fit to build, run and test Orion: packages, npm dependencies, build. Does only what is missing,
# starts no service, and several at once wait for each other. Usage: scripts/install-deps.sh [--docker | --peers]
# --docker adds what the containers' tests need: a Docker engine and docker-compose.
# --peers installs the servers of the benchmark `peers`, and nothing else.
set -euo pipefail
# What packages set up is read by the users of their services.
umask 022
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$PROJECT"
PACKAGES=(mariadb-server galera-4 rsync ansible-core openssh-server openssh-client caddy jq iproute2 iptables cron at age busybox faketime procps util-linux python3 openssl make g++ debootstrap
  git putty-tools dropbear-bin sshfs prometheus prometheus-alertmanager)
DOCKER_PACKAGES=(docker.io docker-compose)
PEER_PACKAGES=(postgresql redis-server)
POLICY=/usr/sbin/policy-rc.d
LOG=$(mktemp)
trap 'rm -f -- "$LOG"' EXIT

die() { printf 'install-deps: %s\n' "$*" >&2; exit 1; }

# Runs a step quietly, one line when it is done, its output when it fails.
step() {
  local name=$1 began=${EPOCHREALTIME/./}
  shift
  # A condition would switch off `set -e` within the step, hence the subshell.
  set +e
  (set -e; "$@") >"$LOG" 2>&1
  local status=$?
  set -e
  ((status == 0)) || { cat -- "$LOG" >&2; die "$name failed"; }
  printf '%-34s %6d ms\n' "$name" "$(((${EPOCHREALTIME/./} - began) / 1000))"
}

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == 'ii '* ]] || printf '%s\n' "$package"
  done
}

# What a killed run set aside comes back first.
restore_policy() {
  if [[ -e $POLICY.before-orion ]]; then
    mv -f -- "$POLICY.before-orion" "$POLICY"
  elif grep -qs '^# orion$' "$POLICY"; then
    rm -f -- "$POLICY"
  fi
}

# Packages start their services when they are installed; this file, asked by invoke-rc.d, says no.
forbid_services() {
  restore_policy
  [[ ! -e $POLICY ]] || mv -- "$POLICY" "$POLICY.before-orion"
  printf '#!/bin/sh\n# orion\nexit 101\n' >"$POLICY"
  chmod 755 "$POLICY"
}

install_packages() {
  local missing
  exec {apt}</var/lib/dpkg
  flock "$apt"
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  ((EUID == 0)) || die "must run as root to install ${missing[*]}"
  trap restore_policy EXIT
  forbid_services
  export DEBIAN_FRONTEND=noninteractive
  apt-get -q -o DPkg::Lock::Timeout=300 update {apt}<&-
  apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confold install --no-install-recommends "${missing[@]}" {apt}<&-
}

lock_project() {
  exec {project}<package.json
  flock "$project"
}

install_modules() {
  local stamp=node_modules/.orion-stamp wanted
  lock_project
  wanted=$(sha256sum <package-lock.json)
  [[ ! -e $stamp || $(<"$stamp") != "$wanted" ]] || return 0
  # npm's own record, newer than the lock file, says that somebody has installed it by hand.
  if [[ -e $stamp || ! node_modules/.package-lock.json -nt package-lock.json ]]; then
    # A registry that lacks other platforms' binaries makes `npm ci` find the lock file incomplete; the pinned versions are the same either way.
    npm ci --no-audit --no-fund || npm install --no-save --no-audit --no-fund
  fi
  printf '%s\n' "$wanted" >"$stamp"
}

build() {
  lock_project
  # The modules may be newer than the build, which does the same.
  node scripts/patch-ssh2.mjs
  if [[ -f dist/main.js && -f dist/orion-agent.js ]]; then
    [[ -n $(find src scripts/build.mjs package.json -newer dist/main.js -not -name '*.test.ts' -print -quit) ]] || return 0
  fi
  npm run --silent build
}

prepare_sshd() { [[ -d /run/sshd || $EUID -ne 0 ]] || mkdir -p -m 755 /run/sshd; }

case ${1-} in
  '') ;;
  --docker) PACKAGES+=("${DOCKER_PACKAGES[@]}") ;;
  --peers) PACKAGES=("${PEER_PACKAGES[@]}") ;;
  *) printf 'install-deps: unknown option %s\n' "$1" >&2; exit 2 ;;
esac
[[ -r /etc/debian_version ]] || die 'made for Debian; install the packages by hand elsewhere'
command -v node >/dev/null || die 'Node 20.11 or newer is missing'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 11) ? 0 : 1)' ||
  die "Node 20.11 or newer is needed, this is $(node --version)"
step 'Debian packages' install_packages
[[ ${1-} != --peers ]] || exit 0
step 'folder for sshd' prepare_sshd
step 'npm dependencies' install_modules
step 'build' build
