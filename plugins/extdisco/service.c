/* SPDX-License-Identifier: Apache-2.0 */
#include "service.h"
#include <meerkat/ctx.h>
#include <stdlib.h>
#include <string.h>

#define TRANSPORT "?transport="

/* TYPE:HOST, TYPE:HOST:PORT, TYPE:[IPv6]:PORT, with or without ?transport=T; taken apart where it lies. */
static bool read_uri(char *uri, struct service *s) {
    char *transport = strstr(uri, TRANSPORT), *host = strchr(uri, ':'), *port;
    if (transport) {
        *transport = '\0';
        s->transport = transport + strlen(TRANSPORT);
    }
    if (!host)
        return false;
    *host++ = '\0';
    if (*host == '[') {
        char *end = strchr(host, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        *end = '\0';
        host++;
        port = end[1] ? end + 2 : NULL;
    } else {
        port = strchr(host, ':');
        if (port)
            *port++ = '\0';
    }
    s->type = uri;
    s->host = host;
    s->port = port;
    return *uri && *host && (!s->transport || *s->transport);
}

static bool good_port(const char *port) {
    size_t digits = strspn(port, "0123456789");
    return digits && digits <= 5 && !port[digits] && atoi(port) > 0 && atoi(port) <= 65535;
}

/* KEY=VALUE; the value of name goes to the end.  Returns what comes after it, NULL if it is none of these. */
static char *read_word(char *word, struct service *s) {
    char *value = strchr(word, '='), *end;
    if (!value)
        return NULL;
    *value++ = '\0';
    bool is_name = strcmp(word, "name") == 0;
    end = value + (is_name ? strlen(value) : strcspn(value, " "));
    if (*end)
        *end++ = '\0';
    if (is_name)
        s->name = value;
    else if (strcmp(word, "username") == 0)
        s->username = value;
    else if (strcmp(word, "password") == 0)
        s->password = value;
    else
        return NULL;
    return end;
}

int service_parse(const char *text, struct service *out, struct mk_err *err) {
    *out = (struct service){ .text = mk_malloc(strlen(text) + 1) };
    char *at = strcpy(out->text, text), *rest = at + strcspn(at, " ");
    if (*rest)
        *rest++ = '\0';
    if (!read_uri(at, out))
        return mk_fail(err, MK_E_INVALID,
                       "`%s` in services does not begin like \"turn:turn.example.org:3478?transport=udp\"", text);
    if (out->port && !good_port(out->port))
        return mk_fail(err, MK_E_INVALID, "`%s` in services has no port from 1 to 65535", text);
    while (rest && *(rest += strspn(rest, " ")))
        rest = read_word(rest, out);
    if (!rest)
        return mk_fail(err, MK_E_INVALID,
                       "`%s` in services has a word that is not username=, password= or name=", text);
    if (!out->username != !out->password)
        return mk_fail(err, MK_E_INVALID, "`%s` in services has only one of username= and password=", text);
    return MK_OK;
}
