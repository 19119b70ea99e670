#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Lua scripts as C: embed.sh COMMON.lua SCRIPT.lua...; each script is NAME with the common part in front.
set -eu
quote() {
    sed -e '/^ *--/d' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^ */"/' -e 's/$/\\n"/' "$@"
}
common=$1
shift
echo '#include "redis.h"'
echo 'const char *const script_texts[SCRIPT_COUNT] = {'
for script; do
    printf '[SCRIPT_%s] =\n' "$(basename "$script" .lua | tr a-z A-Z)"
    quote "$common" "$script"
    echo ','
done
echo '};'
