/* SPDX-License-Identifier: Apache-2.0 */
/* For processors without an assembly switch: correct, and slow, since swapcontext() sets the signal mask. */
#include "run/switch.h"
#include "util/mem.h"
#include <stdlib.h>
#include <ucontext.h>

/* A context handle is a ucontext_t on the heap; the main stack's is made at its first switch. */
static __thread ucontext_t *here;

void *switch_prepare(void *top, void (*entry)(void)) {
    enum { STACK = 48 * 1024 }; /* below the pool's smallest stack: makecontext only needs the top part */
    ucontext_t *u = xcalloc(1, sizeof *u);
    if (getcontext(u) != 0)
        abort();
    u->uc_stack.ss_sp = (char *)top - STACK;
    u->uc_stack.ss_size = STACK;
    makecontext(u, entry, 0);
    return u;
}

void switch_to(void **save, void *to) {
    static __thread ucontext_t main_context;
    ucontext_t *from = here ? here : &main_context;
    ucontext_t *next = to;
    *save = from;
    here = next == &main_context ? NULL : next;
    if (swapcontext(from, next) != 0)
        abort();
}

void switch_discard(void *context) {
    free(context);
}
