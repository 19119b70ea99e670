/* SPDX-License-Identifier: Apache-2.0 */
#ifndef XML_ESCAPE_H
#define XML_ESCAPE_H

#include <stddef.h>

/* What must not stand as it is: in content; in an attribute in single quotes, which a parser would also normalise. */
enum escape { ESCAPE_CONTENT = 1, ESCAPE_ATTR = 3 };

char *escape_as(char *out, enum escape how, const char *text, size_t len);
size_t escaped_len(enum escape how, const char *text, size_t len);

#endif
