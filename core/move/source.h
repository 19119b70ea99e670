/* SPDX-License-Identifier: Apache-2.0 */
/* Where a dump comes from: a file, standard input, or meerkat-convert, which makes one of what another server stored. */
#ifndef MOVE_SOURCE_H
#define MOVE_SOURCE_H

#include "move/move.h"
#include <sys/types.h>

struct source {
    FILE *file;
    char *name, *folder; /* OWNED; folder: that of a file, NULL of a pipe */
    pid_t converter;     /* 0: none */
};
bool source_open(struct source *s, const struct arguments *a); /* false: it was said why */
/* Reads it as a dump. */
bool source_read(struct source *s, struct dump *d);
bool source_close(struct source *s); /* false: the converter failed, and said why */

/* Whether it can be read twice. */
bool source_is_lasting(const struct arguments *a);
/* A line that names what would be read, OWNED. */
char *source_identity(const struct arguments *a);

#endif
