#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One Redis, plain and with TLS, that keeps what it acknowledged, and a replica of it:  test/services/redis.sh up|down DIR
# User meerkat may do what the manual says; poor may not see the configuration.
. "$(dirname "$0")/redis-lib.sh"

service_up() {
    local port tls=$dir/tls
    need_packages redis-server redis-tools openssl
    choose_ports server tls replica
    [ -d "$tls" ] || certificates
    port=$(port_of server)
    configure_data server <<EOF
tls-port $(port_of tls)
tls-ca-cert-file $tls/ca.crt
tls-cert-file $tls/server.crt
tls-key-file $tls/server.key
tls-auth-clients optional
user meerkat on >mine ~tls:* +@read +@write +@scripting +@connection +role +wait +config|get
user poor on >mine ~meerkat:* +@read +@write +@scripting +@connection +role
EOF
    configure_data replica <<EOF
replicaof 127.0.0.1 $port
EOF
    start server
    start replica
    [ -f "$dir/env" ] || tell
}

tell() {
    put MEERKAT_BACKEND_REDIS "{\"servers\": [\"127.0.0.1:$port\"], \"password\": \"$password\", \"durable\": true, \"prefix\": \"t@UNIQUE@:\"}"
    put MEERKAT_STORES_REDIS "servers=(\"127.0.0.1:$port\") password=$password durable=true"
    put MEERKAT_STORES_REDIS_TLS "servers=(\"localhost:$(port_of tls)\") tls=true ca=\"$tls/ca.crt\" user=meerkat password=mine durable=true prefix=\"tls:\""
    put REDIS_PORT_server "$port"
    put REDIS_PORT_tls "$(port_of tls)"
    put REDIS_PORT_replica "$(port_of replica)"
}

main "$@"
