#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A TURN server in the foreground that takes credentials made with SECRET:  coturn.sh FOLDER PORT RELAY_PORT SECRET
# It listens on 127.0.0.1 and relays from RELAY_PORT and the 20 that follow.
set -eu

exec turnserver -n --listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --listening-port="$2" --min-port="$3" \
    --max-port=$(($3 + 20)) --realm=localhost --use-auth-secret --static-auth-secret="$4" --fingerprint --no-tls --no-dtls \
    --allow-loopback-peers --no-cli --no-rfc5780 --no-multicast-peers --userdb="$1/turn.db" --pidfile="$1/turn.number" \
    --log-file=stdout --relay-threads=1
