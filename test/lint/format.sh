#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All C sources are as clang-format 14 writes them.
set -euo pipefail
cd "$(dirname "$0")/../.."

tool=clang-format-14
command -v $tool >/dev/null || tool=clang-format
if ! $tool --version | grep -q ' version 14\.'; then
    echo "other versions than clang-format 14 write other layouts; here is $($tool --version)"
    exit 77
fi
sources() {
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- '*.c' '*.h'
    else
        find core plugins backends sdk test -name '*.[ch]'
    fi
}
sources | while read -r file; do [ ! -f "$file" ] || echo "$file"; done | xargs $tool --dry-run -Werror
