/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of HTTP/1.1, cut out of what a connection brings. */
#ifndef HTTP_H
#define HTTP_H

#include "buffer.h"
#include <http_parser.h>
#include <stdbool.h>

/* A field of the answer's head that somebody wants to know. */
struct http_field {
    const char *name;
    char value[64]; /* its begin; "": it is not there */
};

/* One answer that has these. */
struct http_head {
    struct http_field *fields;
    int count, current; /* that whose value is read, -1: none that is wanted */
    char name[32];
    bool in_value;
};

struct http {
    struct http_parser parser;
    struct http_head *head; /* NULL: no field is wanted */
    struct buffer *body;
    bool begun, headed, whole;
    size_t most; /* bytes of a body */
};

/* What comes next is an answer.  HEAD may be NULL.  It and BODY are kept until the answer is whole. */
void http_begin(struct http *h, struct http_head *head, struct buffer *body, size_t most);
/* Takes from FROM what belongs to the answer.  False: that is none. */
bool http_read(struct http *h, struct buffer *from);
/* The connection has ended.  Whether the answer is whole with that. */
bool http_end(struct http *h);
bool http_keeps_alive(const struct http *h); /* whether another may come behind one that is whole */
/* "404 Not Found" */
void http_status(const struct http *h, char *out, size_t size);

#endif
