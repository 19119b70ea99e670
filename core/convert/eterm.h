/* SPDX-License-Identifier: Apache-2.0 */
/* A stanza in Erlang's external term format, as MongooseIM keeps messages: {xmlel, Name, Attributes, Children}. */
#ifndef CONVERT_ETERM_H
#define CONVERT_ETERM_H

#include "util/text.h"

/* Writes it as XML to OUT.  False if DATA is no such term. */
bool eterm_stanza(const void *data, size_t len, struct buf *out);

#endif
