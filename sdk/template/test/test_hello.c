/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plugin's handlers without a server: the file is included whole, and the few SDK functions that it calls are
 * written here.  They keep what they are given, for the checks.
 */
#define MK_STATIC
#include "../src/hello.c"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed;
#define CHECK(cond) ((cond) ? (void)0 : (void)(failed = 1, fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond)))

/* ---- stand-ins --------------------------------------------------------------------------------------------------- */

struct mk_session {
    bool available;
    int got;
};
static struct hello instance = { .greeting = "Good day" };
static struct mk_session sessions[3] = { { true, 0 }, { false, 0 }, { true, 0 } };
static char written[256], memory[256];
static int64_t counted, told;
static const char *text_arg, *local_part = "juliet";

const void *mk_inst(const struct mk_ctx *c) {
    (void)c;
    return &instance;
}
const struct mk_jid *mk_self(const struct mk_ctx *c) {
    (void)c;
    return NULL;
}
const struct mk_jid *mk_host(const struct mk_ctx *c) {
    (void)c;
    return NULL;
}
const struct mk_jid *mk_stanza_from(const struct mk_stanza *s) {
    (void)s;
    return NULL;
}
struct mk_view mk_jid_local(const struct mk_jid *jid) {
    (void)jid;
    return (struct mk_view){ local_part, strlen(local_part) };
}
struct mk_view mk_jid_domain(const struct mk_jid *jid) {
    (void)jid;
    return (struct mk_view){ "example.org", 11 };
}
char *mk_printf(struct mk_ctx *c, const char *fmt, ...) {
    (void)c;
    va_list args;
    va_start(args, fmt);
    vsnprintf(memory, sizeof memory, fmt, args);
    va_end(args);
    return memory;
}
struct mk_out *mk_reply(struct mk_ctx *c, const struct mk_stanza *iq) {
    (void)c;
    (void)iq;
    *written = '\0';
    return NULL;
}
struct mk_out *mk_new(struct mk_ctx *c, enum mk_kind kind, enum mk_type type, const struct mk_jid *to) {
    (void)to;
    (void)kind;
    (void)type;
    return mk_reply(c, NULL);
}
void mk_from(struct mk_out *o, const struct mk_jid *from) {
    (void)o;
    (void)from;
}
void mk_leaf(struct mk_out *o, const char *name, const char *ns, const char *text) {
    (void)o;
    snprintf(written, sizeof written, "%s|%s|%s", name, ns ? ns : "", text);
}
int mk_send(struct mk_out *o) {
    (void)o;
    return MK_OK;
}
int mk_seal(struct mk_out *o, const struct mk_stanza **out) {
    (void)o;
    *out = NULL;
    return strstr(written, "\001") ? MK_E_INVALID : MK_OK;
}
void mk_count(struct mk_ctx *c, unsigned index, int64_t by) {
    (void)c;
    counted += index == M_ANSWERED ? by : 1000;
}
struct mk_session *mk_session_next(struct mk_ctx *c, struct mk_session *prev) {
    (void)c;
    return !prev ? sessions : prev < sessions + 2 ? prev + 1 : NULL;
}
bool mk_session_is_available(const struct mk_session *s) {
    return s->available;
}
const struct mk_jid *mk_session_jid(const struct mk_session *s) {
    (void)s;
    return NULL;
}
void mk_session_send(struct mk_ctx *c, struct mk_session *s, const struct mk_stanza *stanza, const struct mk_jid *to) {
    (void)c;
    (void)stanza;
    (void)to;
    s->got++;
}
bool mk_arg_has(const struct mk_args *args, const char *name) {
    (void)args;
    return strcmp(name, "text") == 0 && text_arg;
}
const char *mk_arg_text(const struct mk_args *args, const char *name) {
    (void)args;
    (void)name;
    return text_arg;
}
void mk_result_int(struct mk_result *r, const char *name, int64_t value) {
    (void)r;
    (void)name;
    told = value;
}
int mk_result_error(struct mk_result *r, int rc, const char *fmt, ...) {
    (void)r;
    (void)fmt;
    return rc;
}
const char *mk_strerror(int rc) {
    (void)rc;
    return "";
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

int main(void) {
    const struct mk_plugin *p = hello_LTX_mk_plugin();
    CHECK(strcmp(p->name, "hello") == 0 && p->head.magic == MK_MAGIC);

    const struct mk_iq_decl *iq = p->iqs.items;
    CHECK(iq->fn(NULL, NULL) == 0);
    CHECK(strcmp(written, "hello|urn:example:hello|Good day, juliet!") == 0);
    local_part = "";
    CHECK(iq->fn(NULL, NULL) == 0);
    CHECK(strcmp(written, "hello|urn:example:hello|Good day, example.org!") == 0);
    CHECK(counted == 2);

    const struct mk_cmd_decl *send = p->commands.items;
    CHECK(send->run(NULL, NULL, NULL) == 0);
    CHECK(strcmp(written, "body||Good day") == 0);
    CHECK(told == 2 && sessions[0].got == 1 && sessions[1].got == 0 && sessions[2].got == 1);
    text_arg = "Bye";
    CHECK(send->run(NULL, NULL, NULL) == 0);
    CHECK(strcmp(written, "body||Bye") == 0);
    text_arg = "\001";
    CHECK(send->run(NULL, NULL, NULL) == MK_E_INVALID);
    CHECK(sessions[0].got == 2);
    return failed;
}
