#!/bin/sh
# Stands in for healthcheck.sh --connect --innodb_initialized of the official MariaDB image: the server answers over TCP. Being refused is an answer.
exec mariadb-admin --no-defaults --protocol=tcp --host=127.0.0.1 --connect-timeout=3 ping >/dev/null 2>&1
