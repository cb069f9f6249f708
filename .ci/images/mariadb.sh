#!/bin/sh
# Prepares a data directory as the official image does, as far as tests need it, then
# runs the server.
set -eu
: "${MARIADB_ROOT_PASSWORD:=${MYSQL_ROOT_PASSWORD:-}}"
: "${MARIADB_DATABASE:=${MYSQL_DATABASE:-}}"
: "${MARIADB_USER:=${MYSQL_USER:-}}" "${MARIADB_PASSWORD:=${MYSQL_PASSWORD:-}}"
data=/var/lib/mysql sockets=/run/mysqld
case "${1:--}" in -*) set -- mariadbd "$@" ;; esac

if [ "$(id -u)" = 0 ]; then
    mkdir -p "$data" "$sockets"
    chown -R mysql "$data" "$sockets"
    exec /usr/bin/setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
fi

# A value as a string of SQL.
quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"
}

if [ ! -d "$data/mysql" ]; then
    if [ -z "$MARIADB_ROOT_PASSWORD" ]; then
        echo "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified" >&2
        exit 1
    fi
    mariadb-install-db --datadir="$data" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal
    "$@" --datadir="$data" --skip-networking --socket="$sockets/prepare.sock" &
    server=$!
    until mariadb -u root -S "$sockets/prepare.sock" -e "" 2>/dev/null; do
        kill -0 "$server"
        sleep 0.1
    done
    {
        if [ -n "$MARIADB_DATABASE" ]; then
            echo "CREATE DATABASE \`$MARIADB_DATABASE\`;"
        fi
        if [ -n "$MARIADB_USER" ]; then
            echo "CREATE USER $(quoted "$MARIADB_USER")@'%' IDENTIFIED BY $(quoted "$MARIADB_PASSWORD");"
            echo "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO $(quoted "$MARIADB_USER")@'%';"
        fi
        echo "CREATE USER root@'%' IDENTIFIED BY $(quoted "$MARIADB_ROOT_PASSWORD");"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "ALTER USER root@localhost IDENTIFIED BY $(quoted "$MARIADB_ROOT_PASSWORD");"
    } | mariadb -u root -S "$sockets/prepare.sock"
    kill "$server"
    wait "$server"
fi

exec "$@" --datadir="$data" --socket="$sockets/mysqld.sock" --bind-address=0.0.0.0
