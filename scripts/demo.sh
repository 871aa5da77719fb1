#!/usr/bin/env bash
# Plays the whole life of Orion on this machine, on real servers, and checks every step. See --help.
set -euo pipefail
PROJECT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
cd -- "$PROJECT"

usage() {
  cat <<'HELP'
Usage: scripts/demo.sh                play the whole scenario, about a minute and a half; nothing is left behind
       scripts/demo.sh --docker       the same with everything in containers, brought up by compose; builds the images when they are missing
       scripts/demo.sh --keep         the same, and leave everything running to play with
       scripts/demo.sh --stop [DIR]   end what --keep left running: all of this checkout's, or the one whose folder is DIR
       scripts/demo.sh --help

Needs a Debian 12 with Node.js (20.11 or newer) and root: a worker is a set of namespaces with its own sshd. What is missing is installed first
(scripts/install-deps.sh). Everything listens on 127.0.0.0/8, on free ports, with its files in a temporary folder.
Exit code: 0 every check held, 1 one did not, 2 wrong usage, 130 or 143 interrupted.
HELP
}
usage_error() { printf 'demo.sh: %s (see --help)\n' "$*" >&2; exit 2; }
need_root() { ((EUID == 0)) || { printf 'demo.sh: must run as root\n' >&2; exit 1; }; }

INSTALL=()
case ${1-} in
  '' | --keep | --docker)
    (($# < 2)) || usage_error "unknown option $2"
    if [[ ${1-} == --docker ]]; then INSTALL=(--docker); fi ;;
  -h | --help) usage; exit 0 ;;
  --stop)
    (($# < 3)) || usage_error "unknown option $3"
    need_root
    exec bash scripts/demo/stop.sh "$PROJECT" "${2-}" ;;
  *) usage_error "unknown option $1" ;;
esac
need_root

printf 'Preparing this machine (packages, dependencies, build) …\n'
scripts/install-deps.sh "${INSTALL[@]}"
# One process from here on, so that whoever kills this one has killed the demo. The cache of tsx would outlive it.
TSX_DISABLE_CACHE=1 exec node --import tsx scripts/demo/main.ts "$@"
