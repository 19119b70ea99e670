#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_misuse.sh SDK: mistakes in a plugin that the compiler must find, in gcc and in clang.  The plugin is first
# compiled without a mistake, so that no case can fail for another reason.
set -eu
sdk=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
count=0

cat > "$work/plugin.c" <<'EOF'
#ifndef NO_NEED
#ifdef HIGH_NEED
#define MK_ABI_NEED 99
#else
#define MK_ABI_NEED 0
#endif
#endif
#include <meerkat/auth.h>
#include <meerkat/plugin.h>

struct demo {
    bool flag;
    int64_t number;
    const char *text;
    const struct mk_auth *auth;
    const struct mk_coll *things;
#ifdef OPTION_TYPE
    int small;
#endif
};

static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct demo, flag, "true", MK_OPT_LIVE, "Flag."),
    MK_OPT_TEXT(struct demo, text, NULL, 0, "Text."),
#ifdef OPTION_TYPE
    MK_OPT_INT(struct demo, small, "1", 0, 9, 0, "Number."),
#else
    MK_OPT_INT(struct demo, number, "1", 0, 9, 0, "Number."),
#endif
};
static const struct mk_need_decl needs[] = {
#ifdef NEED_TYPE
    MK_NEED(struct demo, text, mk_auth, 1, 0, MK_NEED_SOFT, NULL),
#else
    MK_NEED(struct demo, auth, mk_auth, 1, 0, MK_NEED_SOFT, NULL),
#endif
};
static const struct mk_col_decl cols[] = { { "owner", MK_C_JID, MK_COL_PARTITION, "Whose." } };
static const struct mk_coll_decl collections[] = {
#ifdef COLLECTION_TYPE
    MK_COLLECTION(struct demo, text, "things", 1, 0, 0, cols, MK_NO_INDEX, "Things."),
#else
    MK_COLLECTION(struct demo, things, "things", 1, 0, 0, cols, MK_NO_INDEX, "Things."),
#endif
};

#ifdef HOOK_PAYLOAD
static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_session *ev) {
#else
static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
#endif
    const struct demo *me = mk_inst(c);
    (void)ev;
#ifdef CALL_TYPE
    return me->auth && mk_auth_exists(c, me->auth, "somebody") == 0 ? MK_STOP : MK_NEXT;
#else
    return me->auth && mk_auth_exists(c, me->auth, mk_self(c)) == 0 ? MK_STOP : MK_NEXT;
#endif
}
#ifdef HOOK_RETURN
static int on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev, int more) {
    (void)more;
#else
static enum mk_flow on_presence(struct mk_ctx *c, struct mk_ev_stanza *ev) {
#endif
    (void)ev;
#ifdef RESULT_IGNORED
    mk_send(mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, NULL));
    return MK_NEXT;
#else
    return mk_send(mk_new(c, MK_MESSAGE, MK_TYPE_NORMAL, NULL)) == 0 ? MK_NEXT : MK_STOP;
#endif
}
static const struct mk_hook_decl hooks[] = {
    MK_ON(user_send_message, 50, MK_INLINE, on_message),
    MK_ON(user_send_presence, 50, MK_SERIAL, on_presence),
};
MK_PLUGIN(demo, .version = "1.0", .summary = "Demo", .inst_size = sizeof(struct demo), .options = MK_TABLE(options),
          .needs = MK_TABLE(needs), .collections = MK_TABLE(collections), .hooks = MK_TABLE(hooks));
EOF

compile() { # COMPILER DEFINE
    "$1" -std=c17 -Wall -Wextra -Werror -c -o "$work/plugin.o" -D"$2" -I "$sdk" "$work/plugin.c" > "$work/out" 2>&1
}

for compiler in gcc clang; do
    command -v $compiler > "$work/found" || continue
    if ! compile $compiler RIGHT; then
        echo "not ok: the plugin without mistake, with $compiler"
        head -5 "$work/out"
        exit 1
    fi
    for mistake in NO_NEED HIGH_NEED OPTION_TYPE NEED_TYPE COLLECTION_TYPE HOOK_PAYLOAD HOOK_RETURN CALL_TYPE \
            RESULT_IGNORED; do
        count=$((count + 1))
        if compile $compiler $mistake; then
            failed=1
            echo "not ok: $compiler does not find $mistake"
        fi
    done
done

# A plugin in C++: the same tables, but designators in the order of the members.
cat > "$work/plugin.cc" <<'EOF'
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>
struct demo {
    bool flag;
    int64_t number;
};
static const struct mk_opt_decl options[] = {
    MK_OPT_BOOL(struct demo, flag, "true", MK_OPT_LIVE, "Flag."),
    MK_OPT_INT(struct demo, number, "1", 0, 9, 0, "Number."),
};
static enum mk_flow on_message(struct mk_ctx *c, struct mk_ev_stanza *ev) {
    (void)ev;
    return static_cast<const struct demo *>(mk_inst(c))->flag ? MK_NEXT : MK_STOP;
}
static const struct mk_hook_decl hooks[] = { MK_ON(user_send_message, 50, MK_INLINE, on_message) };
extern "C" {
MK_PLUGIN(demo, .version = "1.0", .summary = "Demo", .inst_size = sizeof(struct demo), .options = MK_TABLE(options),
          .hooks = MK_TABLE(hooks));
}
EOF
for compiler in g++ clang++; do
    command -v $compiler > "$work/found" || continue
    count=$((count + 1))
    if ! $compiler -std=c++20 -Wall -Wno-missing-field-initializers -Werror -fsyntax-only -I "$sdk" "$work/plugin.cc" \
            > "$work/out" 2>&1; then
        failed=1
        echo "not ok: the plugin in C++, with $compiler"
        head -5 "$work/out"
    fi
done
[ $failed = 0 ] && echo "ok: $count cases"
exit $failed
