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
find "$tmp/root" -name hello.so | grep -q /meerkat/plugins-
