#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A cluster of three masters with a replica each:  test/services/redis-cluster.sh up|down DIR
. "$(dirname "$0")/redis-lib.sh"

nodes='node1 node2 node3 node4 node5 node6'

each() { # COMMAND...: with each node's port behind it
    local name
    for name in $nodes; do "$@" "$(port_of $name)" || return 1; done
}
has_met() { [ "$(cli "$1" cluster nodes | grep -c ' connected')" = 6 ]; }
is_ready() {
    cli "$1" cluster info | grep -q cluster_state:ok && [ "$(cli "$1" cluster nodes | grep -c 'slave ')" = 3 ] &&
        ! cli "$1" info replication | grep -q master_link_status:down
}

# What "redis-cli --cluster create" does, which can't name the ports of the bus.
form() {
    local i first
    first=$(port_of node1)
    for i in 1 2 3 4 5 6; do
        cli "$(port_of node$i)" cluster set-config-epoch $i >/dev/null
        cli "$first" cluster meet 127.0.0.1 "$(port_of node$i)" "$(port_of bus$i)" >/dev/null
    done
    cli "$first" cluster addslotsrange 0 5460 >/dev/null
    cli "$(port_of node2)" cluster addslotsrange 5461 10922 >/dev/null
    cli "$(port_of node3)" cluster addslotsrange 10923 16383 >/dev/null
    await node1 each has_met
    for i in 1 2 3; do
        await node1 cli "$(port_of node$((i + 3)))" -e cluster replicate "$(cli "$(port_of node$i)" cluster myid)"
    done
    await node1 each is_ready
}

service_up() {
    local i
    need_packages redis-server redis-tools
    choose_ports $nodes bus1 bus2 bus3 bus4 bus5 bus6
    for i in 1 2 3 4 5 6; do
        configure_data node$i <<EOF
cluster-enabled yes
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-port $(port_of bus$i)
EOF
        start node$i
    done
    [ -f "$dir/env" ] || { form && tell; }
}

tell() {
    local servers= name
    for name in $nodes; do
        servers=$servers${servers:+,}\"127.0.0.1:$(port_of $name)\"
        put "REDIS_PORT_$name" "$(port_of $name)"
    done
    put MEERKAT_STORES_REDIS_CLUSTER "mode=cluster servers=($servers) password=$password durable=true wait_replicas=1"
    put REDIS_SERVERS "($servers)"
}

main "$@"
