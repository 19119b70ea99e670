# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Completion of meerkatctl: the server itself is asked what there is.
_meerkatctl() {
    if [[ ${COMP_WORDS[COMP_CWORD-1]} == --socket ]]; then
        compopt -o default
        return
    fi
    mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${COMPREPLY[0]-} == *= ]]; then
        compopt -o nospace
    fi
}
complete -F _meerkatctl meerkatctl
