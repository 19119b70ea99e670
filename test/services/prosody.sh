#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prosody with the configuration that the caller has written to DIR/prosody.cfg.lua:  prosody.sh up|down DIR
# The configuration keeps its data and logs in DIR/data.  Of DIR/ports, if it is there, each port of 127.0.0.1 is awaited.
. "$(dirname "$0")/lib.sh"

service_up() {
    need_packages prosody lua-unbound
    [ -s "$dir/prosody.cfg.lua" ] || die "there is no $dir/prosody.cfg.lua"
    mkdir -p "$dir/data"
    own prosody "$dir/data"
    spawn prosody prosody /usr/bin/prosody -F --config "$dir/prosody.cfg.lua"
    await_ports prosody
}

service_down() { halt prosody; }

main "$@"
