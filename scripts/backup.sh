#!/usr/bin/env bash
# Backs up the database while Orion goes on working: one moment of it, in one file with a checksum of its own. The file holds hashes of passwords
# and of tokens: keep it like the database. scripts/restore.sh takes it back; see docs/operations.md.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib/backup-common.sh
. "$HERE/lib/backup-common.sh"

usage() {
  cat <<'HELP'
Usage: scripts/backup.sh [--docker] [FILE]      (default FILE: orion-<time>.sql.gz)

  --docker   of the compose project in this folder, through its service db; without it, of the server that ORION_DB_HOST, _PORT, _USER, _NAME
             and _PASSWORD or _PASSWORD_FILE name, as for the roles
HELP
}

FILE=''
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --docker) IN_DOCKER=1 ;;
    -*) usage >&2; exit 2 ;;
    *) [[ -z $FILE ]] || { usage >&2; exit 2; }; FILE=$argument ;;
  esac
done
[[ -n $FILE ]] || FILE=orion-$(date -u +%Y%m%dT%H%M%SZ).sql.gz

umask 077
[[ ! -e $FILE ]] || die "$FILE is there already"
has_last_table || die "the database $DATABASE holds no schema of Orion's"
mapfile -t TABLES < <(list_tables)
PART=$(mktemp -- "$FILE.XXXXXX")
trap 'rm -f -- "$PART"' EXIT
trap 'exit 1' INT TERM HUP
# One consistent snapshot, which locks nobody out. No DROP TABLE in it: by itself it can overwrite nothing.
client mariadb-dump --single-transaction --quick --hex-blob --skip-add-drop-table --default-character-set=utf8mb4 \
  "$DATABASE" "${TABLES[@]}" "$LAST_TABLE" </dev/null | gzip >"$PART"
SUM=$(gzip -dc -- "$PART" | checksum)
printf '%s%s\n' "$SEAL" "$SUM" | gzip >>"$PART"
sync -- "$PART"
mv -n -- "$PART" "$FILE"
[[ ! -e $PART ]] || die "$FILE is there already"
say "$FILE: $(wc -c <"$FILE") bytes, $((${#TABLES[@]} + 1)) tables"
