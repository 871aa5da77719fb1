#!/bin/bash
# Stands in for the entrypoint of the official MariaDB image, as far as compose.yaml uses it: MARIADB_DATABASE, MARIADB_USER,
# MARIADB_PASSWORD_FILE and MARIADB_ROOT_PASSWORD_FILE make the database when the data directory is empty.
set -euo pipefail
DATA=/var/lib/mysql INIT=/run/mysqld/init.sql

[[ ${1-} == mariadbd || ${1-} == -* ]] || exec "$@"
[[ $1 != -* ]] || set -- mariadbd "$@"
if ((EUID == 0)); then
  mkdir -p /run/mysqld
  chown mysql: "$DATA" /run/mysqld
  exec setpriv --reuid=mysql --regid=mysql --init-groups "${BASH_SOURCE[0]}" "$@"
fi

quote() { printf "'%s'" "${1//\'/\'\'}"; }

# The server runs it before it listens, and it may be run again: a first start that was cut short is made up for.
if [[ ! -e $DATA/.initialised ]]; then
  [[ -d $DATA/mysql ]] || mariadb-install-db --datadir="$DATA" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  user=$(quote "$MARIADB_USER")@$(quote %)
  (
    umask 077
    cat >"$INIT" <<SQL
CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\` CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS $user IDENTIFIED BY $(quote "$(<"$MARIADB_PASSWORD_FILE")");
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO $user;
ALTER USER root@localhost IDENTIFIED BY $(quote "$(<"$MARIADB_ROOT_PASSWORD_FILE")");
SQL
  )
  touch "$DATA/.initialised"
  set -- "$@" "--init-file=$INIT"
fi
exec "$@"
