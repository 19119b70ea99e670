#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The SDK's template builds and passes its tests against an installed server and nothing of the tree:  template.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/../.."

build=$1
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
meson install -C "$build" --no-rebuild --destdir "$tmp/root" >"$tmp/install"
package=$(find "$tmp/root" -name meerkat.pc)
library=$(dirname "$(find "$tmp/root" -name libmeerkat.so.1)")
daemon=$(dirname "$(find "$tmp/root" -name meerkatd)")
cp -r sdk/template "$tmp/hello"
export PKG_CONFIG_PATH=${package%/*} PKG_CONFIG_SYSROOT_DIR=$tmp/root LD_LIBRARY_PATH=$library PATH=$daemon:$PATH
export ASAN_OPTIONS=detect_leaks=0
meson setup "$tmp/hello/build" "$tmp/hello" -Dwerror=true -Db_lundef=false
ninja -C "$tmp/hello/build"
meson test -C "$tmp/hello/build" --print-errorlogs
meson install -C "$tmp/hello/build" --destdir "$tmp/root"
[ -n "$(find "$tmp/root" -path "*/meerkat/plugins-*/hello.so")" ]

# And it answers: the installed server loads it and a client asks.
plugins=$(dirname "$(find "$tmp/root" -name hello.so)")
cat >"$tmp/meerkat.cfg" <<END
plugin_dir = "$plugins";
hosts = ( { name = "localhost"; } );
host_types = { default = { anonymous = true; }; };
listeners = ( { address = "127.0.0.1"; port = 0; } );
control = { socket = "$tmp/control"; };
plugins = { hello = { greeting = "Good day"; }; };
END
meerkatd -c "$tmp/meerkat.cfg" >"$tmp/log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$tmp"' EXIT
/usr/bin/python3 - "$tmp/log" <<'END' || { cat "$tmp/log"; exit 1; }
import re, socket, sys, time

for _ in range(200):
    found = re.search(r"port (\d+)", open(sys.argv[1]).read())
    if found:
        break
    time.sleep(0.05)
client = socket.create_connection(("127.0.0.1", int(found.group(1))), 10)
said = b""

def ask(text, until):
    global said
    client.sendall(text.encode())
    said = b""
    while until.encode() not in said:
        got = client.recv(65536)
        if not got:
            sys.exit(f"the server closed the connection after {said!r}")
        said += got

HEADER = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
ask(HEADER, "</stream:features>")
ask("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", "<success")
ask(HEADER, "</stream:features>")
ask("<iq id='b' type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>", "</iq>")
ask("<iq id='h' type='get' to='localhost'><hello xmlns='urn:example:hello'/></iq>", "</iq>")
assert b"Good day" in said, said
END
port=$(sed -n '/port [0-9]/{s/.*port \([0-9]*\).*/\1/p;q}' "$tmp/log")
player=$(find "$tmp/root" -name meerkat-test -path '*/bin/*')
"$player" --port "$port" --domain localhost --tls none --mechanism ANONYMOUS sdk/template/test/hello.scn >"$tmp/played" ||
    { cat "$tmp/played"; exit 1; }
grep -q '^ok 1 - hello.scn$' "$tmp/played" || { cat "$tmp/played"; exit 1; }
kill $server
wait $server
trap 'rm -rf "$tmp"' EXIT
