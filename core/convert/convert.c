/* SPDX-License-Identifier: Apache-2.0 */
#include "convert/convert.h"
#include "move/writer.h"
#include "util/mem.h"
#include <libxml/parser.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool complain(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fputs("meerkat-convert: ", stderr);
    vfprintf(stderr, fmt, args);
    fputs("\n", stderr);
    va_end(args);
    return false;
}

/* ---- the dump -------------------------------------------------------------------------------------------------------- */

void dump_begin(void) {
    puts("<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='urn:xmpp:pie:0'>");
}

void dump_end(void) {
    puts("</server-data>");
}

void dump_host(const char *jid) {
    struct buf b = { 0 };
    if (jid)
        put_attr(&b, "jid", jid);
    if (jid)
        printf("<host%s>\n", b.data);
    else
        puts("</host>");
    buf_free(&b);
}

void dump_user(const char *name, const char *password) {
    struct buf b = { 0 };
    if (name)
        put_attr(&b, "name", name);
    if (name && password)
        put_attr(&b, "password", password);
    if (name)
        printf("<user%s>\n", b.data);
    else
        puts("</user>");
    if (b.data)
        explicit_bzero(b.data, b.len);
    buf_free(&b);
}

void dump_text(const struct buf *xml) {
    if (xml->len)
        puts(xml->data);
}

static void put_base64(const char *name, const void *data, size_t len) {
    char *text = xmalloc(4 * ((len + 2) / 3) + 1);
    base64_encode(text, data, len);
    printf("<%s>%s</%s>", name, text, name);
    free(text);
}

void dump_keys(const struct dump_keys *k) {
    printf("<scram-credentials xmlns='urn:xmpp:pie:0#scram' mechanism='%s'><iter-count>%s</iter-count>", k->mechanism,
           k->iterations);
    put_base64("salt", k->salt, k->salt_len);
    put_base64("server-key", k->server, k->len);
    put_base64("stored-key", k->stored, k->len);
    puts("</scram-credentials>");
}

bool put_xml(struct buf *out, const char *xml, size_t len, const char *ns) {
    static const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_HUGE;
    bool begins = len && xml[0] == '<' && xml[1] != '!' && xml[1] != '?';
    xmlDocPtr doc = begins ? xmlReadMemory(xml, (int)len, NULL, NULL, options) : NULL;
    xmlNodePtr root = doc ? xmlDocGetRootElement(doc) : NULL;
    if (root) {
        size_t name = 1 + strcspn(xml + 1, " \t\r\n/>");
        buf_add(out, xml, name);
        if (!root->ns && *ns)
            put_attr(out, "xmlns", ns);
        buf_add(out, xml + name, len - name);
    }
    if (doc)
        xmlFreeDoc(doc);
    return root != NULL;
}

void put_delay(struct buf *out, const char *from, int64_t us) {
    static const char end[] = "</message>";
    if (out->len < sizeof end || strcmp(out->data + out->len - (sizeof end - 1), end) != 0)
        return;
    out->len -= sizeof end - 1;
    buf_puts(out, "<delay xmlns='urn:xmpp:delay'");
    put_attr(out, "from", from);
    buf_puts(out, " stamp='");
    put_stamp(out, us);
    buf_printf(out, "'/>%s", end);
}

void put_stamp(struct buf *out, int64_t us) {
    time_t seconds = (time_t)(us / 1000000);
    struct tm t;
    char text[40];
    gmtime_r(&seconds, &t);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &t);
    buf_printf(out, "%s.%06dZ", text, (int)(us % 1000000));
}

/* ---- arguments ------------------------------------------------------------------------------------------------------- */

static void usage(FILE *out) {
    fputs(
        "Usage: meerkat-convert prosody FOLDER|DATABASE\n"
        "       meerkat-convert ejabberd DATABASE [HOST]\n"
        "       meerkat-convert mongooseim DATABASE\n"
        "Writes what another server stored as a dump of XEP-0227, for meerkatctl import.  The other server is stopped\n"
        "meanwhile.\n"
        "  FOLDER    the data of Prosody's internal storage, /var/lib/prosody\n"
        "  DATABASE  sqlite:FILE, postgresql://USER@HOST/NAME or mysql://USER:PASSWORD@HOST:PORT/NAME\n"
        "  HOST      whose tables they are, where those of ejabberd have no server_host\n",
        out);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        bool (*run)(int count, char **words);
    } servers[] = { { "prosody", convert_prosody },
                    { "ejabberd", convert_ejabberd },
                    { "mongooseim", convert_mongooseim } };
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("meerkat-convert " MEERKAT_VERSION);
        return 0;
    }
    for (size_t i = 0; argc > 2 && i < sizeof servers / sizeof servers[0]; i++)
        if (strcmp(servers[i].name, argv[1]) == 0) {
            bool good = servers[i].run(argc - 2, argv + 2);
            xmlCleanupParser();
            return good && fflush(stdout) == 0 && !ferror(stdout) ? 0 : 1;
        }
    usage(stderr);
    return 2;
}
