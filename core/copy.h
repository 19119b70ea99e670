/* SPDX-License-Identifier: Apache-2.0 */
/* meerkatd --copy: moves collections from one backend to another while no server runs. */
#ifndef COPY_H
#define COPY_H

#include "settings.h"

/* After load_plan().  WAY is FROM:TO; COLLECTION NULL is all.  Returns the exit status; what is wrong is on stderr. */
int copy_collections(const struct settings *s, const char *way, const char *collection);

#endif
