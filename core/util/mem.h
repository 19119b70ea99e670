/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation that does not fail: out of memory stops the process with one line, since limits guard all input. */
#ifndef UTIL_MEM_H
#define UTIL_MEM_H

#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *data, size_t size) __attribute__((malloc, returns_nonnull)); /* adds a NUL */

void out_of_memory(void) __attribute__((noreturn, cold)); /* for libraries that only say they failed */

/* The struct of TYPE that holds MEMBER at PTR. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
