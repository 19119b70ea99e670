#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ejabberd with the configuration that the caller has written to DIR/ejabberd.yml:  ejabberd.sh up|down DIR
# Its database is in DIR/data, its logs in DIR/data/log.  DIR/resolver, if it is there, is the port of 127.0.0.1 where it
# asks DNS.  Of DIR/ports, if it is there, each port of 127.0.0.1 is awaited.  The node has no name and no distribution.
. "$(dirname "$0")/lib.sh"

service_up() {
    need_packages ejabberd
    [ -s "$dir/ejabberd.yml" ] || die "there is no $dir/ejabberd.yml"
    mkdir -p "$dir/data/log"
    own ejabberd "$dir/data"
    local resolver='ok.' # Debian's package has its modules in two folders
    [ ! -s "$dir/resolver" ] ||
        resolver="inet_db:res_option(resolv_conf, \"\"), inet_db:set_lookup([file, dns]), inet_db:add_ns({127,0,0,1}, $(cat "$dir/resolver"))."
    export HOME=$dir/data EJABBERD_CONFIG_PATH=$dir/ejabberd.yml \
        EJABBERD_LOG_PATH=$dir/data/log/ejabberd.log ERL_CRASH_DUMP=$dir/data/log/crash.dump SPOOL_DIR=$dir/data
    spawn ejabberd ejabberd /usr/bin/erl -noinput +sbwt none +S 2:2 -pa /usr/lib/*/ejabberd-*/ebin -mnesia dir "\"$dir/data/mnesia\"" \
        -eval "$resolver" -s ejabberd
    await_ports ejabberd
}

service_down() { halt ejabberd; }

main "$@"
