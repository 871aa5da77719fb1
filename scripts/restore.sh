#!/usr/bin/env bash
# Puts a file of scripts/backup.sh into an empty database, and makes it safe to go on from: the machines have lived on since the backup, so each is
# verified, and wiped unless its lease is still there, before anybody gets it. See docs/operations.md.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=lib/backup-common.sh
. "$HERE/lib/backup-common.sh"

usage() {
  cat <<'HELP'
Usage: scripts/restore.sh [--docker] [--force] FILE

  --docker   into the compose project in this folder, through its service db; without it, into the database that ORION_DB_HOST, _PORT, _USER, _NAME
             and _PASSWORD or _PASSWORD_FILE name, as for the roles
  --force    drops what is in the database; without it, it has to be empty

Stop every API, scheduler and autoscaler first.
HELP
}

FILE='' FORCE=0
for argument in "$@"; do
  case $argument in
    -h | --help) usage; exit 0 ;;
    --docker) IN_DOCKER=1 ;;
    --force) FORCE=1 ;;
    -*) usage >&2; exit 2 ;;
    *) [[ -z $FILE ]] || { usage >&2; exit 2; }; FILE=$argument ;;
  esac
done
[[ -n $FILE ]] || { usage >&2; exit 2; }

# The last line is the checksum of all before it.
check_seal() {
  local sum last
  [[ -r $FILE ]] || die "cannot read $FILE"
  sum=$(gzip -dc -- "$FILE" 2>/dev/null | head -n -1 | checksum) && last=$(gzip -dc -- "$FILE" 2>/dev/null | tail -n 1) || die "$FILE is torn or no backup"
  [[ $last == "$SEAL"* ]] || die "$FILE is torn, or was not made by backup.sh"
  [[ $last == "$SEAL$sum" ]] || die "$FILE was changed: its checksum is another one"
}

make_room() {
  local others tables
  others=$(query 'SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()')
  ((others == 0)) || die "$others others are connected to the database $DATABASE: stop every API, scheduler and autoscaler first"
  mapfile -t tables < <(list_tables)
  if ((${#tables[@]} == 0)) && ! has_last_table; then return; fi
  ((FORCE)) || die "the database $DATABASE is not empty; --force drops what is in it"
  say "dropping ${#tables[@]} tables"
  query "SET foreign_key_checks = 0; DROP TABLE IF EXISTS \`$LAST_TABLE\`$(printf ', `%s`' "${tables[@]}")"
}

# What makes it safe goes in before the last table: until that is there, nothing starts on the database.
load() {
  gzip -dc -- "$FILE" | awk -v mark="-- Table structure for table \`$LAST_TABLE\`" -v safe="$HERE/lib/backup-make-safe.sql" '
    $0 == mark { while ((getline line < safe) > 0) print line; marked = 1 }
    { print }
    END { exit !marked }' | client mariadb --default-character-set=utf8mb4 "$DATABASE"
}

check_seal
make_room
load || die "the database $DATABASE is only half restored, and nothing starts on it; find out why and run this again with --force"
say "restored: $(query "SELECT CONCAT((SELECT COUNT(*) FROM users), ' users, ', (SELECT COUNT(*) FROM nodes WHERE status = 'unknown'), ' nodes to verify, ',
  (SELECT COUNT(*) FROM leases WHERE state IN ('provisioning','active','migrating') AND ends_at > UTC_TIMESTAMP(3)), ' leases that go on')")"
say 'next: orion migrate up, then start the schedulers and APIs: they verify and wipe the nodes'
say 'join tokens were revoked: make new ones. Access tokens that were revoked since the backup are good again: rotate the JWT key (docs/operations.md)'
