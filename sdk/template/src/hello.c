/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello - a complete plugin, and a tutorial.  It answers
 *
 *     <iq type='get' to='example.org'><hello xmlns='urn:example:hello'/></iq>
 *
 * with a greeting, has one option, one metric and one command of the operator.
 *
 * Read it from the end: a plugin is one descriptor, and everything it adds to the server is a row in one of the
 * descriptor's tables.  Nothing is registered at run time, so that the server can list it, document it and switch it
 * off without asking.
 */

/* The lowest minor of the ABI that this file relies on.  Raise it only when you use something newer: ABI.md. */
#define MK_ABI_NEED 0
#include <meerkat/plugin.h>

#define NS_HELLO "urn:example:hello"

/*
 * The instance: one for each host type that the plugin is enabled for.  The server fills it from the configuration and
 * makes it read-only once start() returned.  A plugin has no writable variables of its own, because handlers run on
 * many threads; what changes lives in worker memory or in slots (see slot.h).
 */
struct hello {
    const char *greeting;
};

/*
 * Options.  The macro checks that the field has the option's type.  MK_OPT_LIVE: a reload may change it, because
 * on_hello() reads it anew each time.  The sentence goes into the manual.
 */
static const struct mk_opt_decl options[] = {
    MK_OPT_TEXT(struct hello, greeting, "Hello", MK_OPT_LIVE, "What to say before the name."),
};

/* Metrics are named by their place in the table; shown as meerkat_hello_answered. */
enum { M_ANSWERED };
static const struct mk_metric_decl metrics[] = {
    { "answered", MK_COUNTER, 0, "", "Greetings sent." },
};

/* Who asks, as one would say it: the local part of the JID, or the domain if there is none. */
static struct mk_view name_of(const struct mk_jid *jid) {
    struct mk_view local = mk_jid_local(jid);
    return local.len ? local : mk_jid_domain(jid);
}

/*
 * The answer.  IQ is lent until the turn ends, and so is everything that SDK functions return.  Memory of the turn is
 * freed by the server; there is nothing to give back.  A builder remembers its first error, so that only the last call
 * is checked.  What this returns matters only if it is negative: then the server answers with the error it stands for.
 */
static int on_hello(struct mk_ctx *c, const struct mk_stanza *iq) {
    const struct hello *me = mk_inst(c);
    struct mk_view name = name_of(mk_stanza_from(iq));
    struct mk_out *o = mk_reply(c, iq);
    mk_leaf(o, "hello", NS_HELLO, mk_printf(c, "%s, %.*s!", me->greeting, (int)name.len, name.s));
    mk_count(c, M_ANSWERED, 1);
    return mk_send(o);
}

/*
 * MK_INLINE: the handler waits for nothing, so it runs on the thread's own stack, which costs least.  One that reads
 * from a collection is MK_SERIAL, or MK_ASIDE if it needs no state of the entity; ctx.h has the whole contract.
 */
static const struct mk_iq_decl iqs[] = {
    { "hello", NS_HELLO, MK_TO_SERVER, MK_GET, MK_INLINE, 0, on_hello },
};

/* What service discovery says of the host. */
static const struct mk_disco_decl disco[] = {
    { NS_HELLO, MK_TO_SERVER, 0 },
};

/*
 * A command: `meerkatctl hello send --user juliet@example.org`, and the same over HTTP and as an ad-hoc command.  Its
 * row says that it runs AT "user": in the turn of that account, where its sessions may be touched.
 */
static int cmd_send(struct mk_ctx *c, const struct mk_args *args, struct mk_result *result) {
    const struct hello *me = mk_inst(c);
    const char *text = mk_arg_has(args, "text") ? mk_arg_text(args, "text") : me->greeting;
    struct mk_out *o = mk_new(c, MK_MESSAGE, MK_TYPE_HEADLINE, mk_self(c));
    mk_from(o, mk_host(c));
    mk_leaf(o, "body", NULL, text);
    const struct mk_stanza *message;
    int rc = mk_seal(o, &message);
    if (rc)
        return mk_result_error(result, rc, "the text can't be sent: %s", mk_strerror(rc));

    int64_t count = 0;
    for (struct mk_session *s = mk_session_next(c, NULL); s; s = mk_session_next(c, s)) {
        if (!mk_session_is_available(s))
            continue;
        mk_session_send(c, s, message, mk_session_jid(s));
        count++;
    }
    mk_result_int(result, "sessions", count);
    return 0;
}
static const struct mk_arg_decl send_args[] = {
    { "user", MK_ARG_JID, 0, "The account to greet." },
    { "text", MK_ARG_TEXT, MK_ARG_OPTIONAL, "What to say; the option `greeting` if it is left out." },
};
static const struct mk_arg_decl send_results[] = {
    { "sessions", MK_ARG_INT, 0, "How many of the account's devices got it." },
};
static const struct mk_cmd_decl commands[] = {
    { "hello.send", "Greet an account on all its devices", "POST /accounts/{user}/hello", "user", MK_CMD_WRITE, 0,
      MK_TABLE(send_args), MK_TABLE(send_results), cmd_send },
};

/* The name is the file's: hello.so.  Members that are left out are none. */
MK_PLUGIN(hello, .version = "1.0", .summary = "Greets whoever asks", .inst_size = sizeof(struct hello),
          .options = MK_TABLE(options), .iqs = MK_TABLE(iqs), .disco = MK_TABLE(disco), .metrics = MK_TABLE(metrics),
          .commands = MK_TABLE(commands));
