/* SPDX-License-Identifier: Apache-2.0 */
/* Changing stacks.  One implementation is linked: switch_x86_64.S, switch_aarch64.S or switch_ucontext.c. */
#ifndef RUN_SWITCH_H
#define RUN_SWITCH_H

/*
 * Makes a context that calls ENTRY, which must never return, on the stack that ends at TOP (16-byte aligned).  Returns
 * what switch_to() takes.
 */
void *switch_prepare(void *top, void (*entry)(void));

/* Saves where we are in *SAVE and goes on at TO.  Callee-saved registers and the floating-point control words survive;
 * the signal mask is not touched. */
void switch_to(void **save, void *to);

/* Gives back what switch_prepare() made. */
void switch_discard(void *context);

#endif
