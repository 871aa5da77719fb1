#!/bin/sh
# Runs a program of MariaDB's against the server that ORION_DB_HOST, _PORT, _USER and _PASSWORD (or _PASSWORD_FILE) name, on this machine or in
# a container; over TLS where ORION_DB_TLS_CA_FILE is set. The password goes by a file that only its owner may read: arguments and environments are for everybody to see.
# Usage: backup-client.sh PROGRAM ARGUMENTS...
set -eu
umask 077
options=$(mktemp)
trap 'rm -f -- "$options"' EXIT
trap 'exit 1' INT TERM HUP
if [ -n "${ORION_DB_PASSWORD_FILE:-}" ]; then ORION_DB_PASSWORD=$(cat -- "$ORION_DB_PASSWORD_FILE"); fi
{
  printf '[client]\nprotocol=tcp\nhost=%s\nport=%s\nuser=%s\n' "${ORION_DB_HOST:-127.0.0.1}" "${ORION_DB_PORT:-3306}" "${ORION_DB_USER:-orion}"
  if [ -n "${ORION_DB_TLS_CA_FILE:-}" ]; then printf 'ssl-ca=%s\nssl-verify-server-cert\n' "$ORION_DB_TLS_CA_FILE"; fi
  printf 'password="%s"\n' "$(printf '%s' "${ORION_DB_PASSWORD:-}" | sed 's/[\\"]/\\&/g')"
} >"$options"
unset ORION_DB_PASSWORD
program=$1
shift
"$program" --defaults-file="$options" "$@"
