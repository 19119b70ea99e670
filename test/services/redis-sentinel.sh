#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A master, two replicas and three sentinels, who know them as "main":  test/services/redis-sentinel.sh up|down DIR
. "$(dirname "$0")/redis-lib.sh"

all_online() { [ "$(cli "$1" info replication | grep -c state=online)" = 2 ]; }
quorum() {
    cli "$1" sentinel ckquorum main | grep -q '^OK 3 usable' && [ "$(cli "$1" sentinel replicas main | grep -c '^name$')" = 2 ]
}

service_up() {
    local name one
    need_packages redis-server redis-tools
    choose_ports one two three sentinel1 sentinel2 sentinel3
    one=$(port_of one)
    configure_data one </dev/null
    start one
    for name in two three; do
        echo "replicaof 127.0.0.1 $one" | configure_data $name
        start $name
    done
    [ -f "$dir/env" ] || await one all_online "$one"
    for name in sentinel1 sentinel2 sentinel3; do
        configure $name <<EOF
sentinel sentinel-pass $password
sentinel monitor main 127.0.0.1 $one 2
sentinel auth-pass main $password
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 3000
EOF
        start $name --sentinel
    done
    [ -f "$dir/env" ] || tell
}

tell() {
    local servers= name
    for name in sentinel1 sentinel2 sentinel3; do
        await $name quorum "$(port_of $name)"
        servers=$servers${servers:+,}\"127.0.0.1:$(port_of $name)\"
    done
    put MEERKAT_STORES_REDIS_SENTINEL "mode=sentinel servers=($servers) master=main password=$password sentinel_password=$password durable=true wait_replicas=1"
    put REDIS_SERVERS "($servers)"
    for name in one two three sentinel1; do put "REDIS_PORT_$name" "$(port_of $name)"; done
}

main "$@"
