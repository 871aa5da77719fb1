# What backup.sh and restore.sh share; sourced by them, after HERE is set to the folder of the scripts.
# shellcheck shell=bash
DATABASE=${ORION_DB_NAME:-orion}
IN_DOCKER=0
SEAL='-- Orion backup, sha256 '
# The table that says which migrations the database has. Nothing starts on a database without it, so it comes last.
LAST_TABLE=knex_migrations

die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }
say() { printf '%s\n' "$*" >&2; }

# A program of MariaDB's against the database: on this machine, or in the compose service db.
client() {
  if ((!IN_DOCKER)); then
    sh "$HERE/lib/backup-client.sh" "$@"
    return
  fi
  local compose=(docker compose)
  docker compose version >/dev/null 2>&1 || compose=(docker-compose)
  "${compose[@]}" exec -T -e ORION_DB_HOST=localhost -e ORION_DB_TLS_CA_FILE=/run/secrets/db_ca -e ORION_DB_USER=orion_migrate \
    -e ORION_DB_PASSWORD_FILE=/run/secrets/db_password_migrate db sh -c "$(<"$HERE/lib/backup-client.sh")" backup-client "$@"
}

# What a statement answers, a line a row.
query() { client mariadb --batch --skip-column-names "$DATABASE" --execute "$1" </dev/null; }

list_tables() { query "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> '$LAST_TABLE' ORDER BY table_name"; }
has_last_table() { [[ $(query "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = '$LAST_TABLE'") == 1 ]]; }

checksum() { sha256sum | cut -d ' ' -f 1; }
