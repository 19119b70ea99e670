# SPDX-License-Identifier: Apache-2.0
# What the scripts for Redis share.  `up` starts those of the servers again that were killed, too.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

me=$(id -un)
password=secret

# cli PORT COMMAND...
cli() {
    local port=$1
    shift
    REDISCLI_AUTH=$password redis-cli -h 127.0.0.1 -p "$port" "$@" 2>/dev/null
}
answers() { cli "$1" ping | grep -q PONG; }

# Ports that differ, one for each NAME, in DIR/ports as NAME=PORT.
choose_ports() {
    local name port
    [ ! -f "$dir/ports" ] || return 0
    for name in "$@"; do
        while port=$(free_port) && grep -qs "=$port\$" "$dir/ports.new"; do :; done
        echo "$name=$port" >>"$dir/ports.new"
    done
    mv "$dir/ports.new" "$dir/ports"
}
port_of() { sed -n "s/^$1=//p" "$dir/ports"; }

# configure NAME: what all servers have, and the lines of its input.  Only once: servers write to it themselves.
configure() {
    [ ! -f "$dir/$1.conf" ] || { cat >/dev/null && return; }
    mkdir -p "$dir/$1"
    {
        printf 'bind 127.0.0.1\nport %s\ndir %s\nrequirepass %s\n' "$(port_of "$1")" "$dir/$1" "$password"
        cat
    } >"$dir/$1.conf"
}
# A server of rows, that keeps what it acknowledged.
configure_data() {
    { printf 'save ""\nappendonly yes\nappendfsync always\nrepl-diskless-sync-delay 0\nmasterauth %s\n' "$password" && cat; } |
        configure "$1"
}

# start NAME [ARGUMENT...]
start() {
    local name=$1
    shift
    alive "$name" || spawn "$name" "$me" redis-server "$dir/$name.conf" "$@"
    await "$name" answers "$(port_of "$name")"
}

service_down() {
    local file
    for file in "$dir"/*.pid; do
        [ ! -e "$file" ] || halt "$(basename "$file" .pid)" KILL
    done
}
