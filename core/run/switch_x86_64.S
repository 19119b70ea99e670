/* SPDX-License-Identifier: Apache-2.0 */
/* System V ABI, x86-64.  A saved context is a stack: control words, r15 r14 r13 r12 rbx rbp, return address. */
	.text

	.globl	switch_to
	.hidden	switch_to
	.type	switch_to, @function
	.align	16
switch_to:
	.cfi_startproc
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.cfi_endproc
	.size	switch_to, .-switch_to

/* A fresh context returns here with the entry in rbx; the zero return address ends backtraces. */
	.type	switch_begin, @function
	.align	16
switch_begin:
	.cfi_startproc
	.cfi_undefined rip
	endbr64
	pushq	$0
	jmp	*%rbx
	.cfi_endproc
	.size	switch_begin, .-switch_begin

	.globl	switch_prepare
	.hidden	switch_prepare
	.type	switch_prepare, @function
	.align	16
switch_prepare:
	.cfi_startproc
	endbr64
	leaq	switch_begin(%rip), %rax
	movq	%rax, -24(%rdi)
	movq	$0, -32(%rdi)
	movq	%rsi, -40(%rdi)
	movq	$0, -48(%rdi)
	movq	$0, -56(%rdi)
	movq	$0, -64(%rdi)
	movq	$0, -72(%rdi)
	stmxcsr	-80(%rdi)
	fnstcw	-76(%rdi)
	leaq	-80(%rdi), %rax
	ret
	.cfi_endproc
	.size	switch_prepare, .-switch_prepare

	.globl	switch_discard
	.hidden	switch_discard
	.type	switch_discard, @function
switch_discard:
	.cfi_startproc
	endbr64
	ret
	.cfi_endproc
	.size	switch_discard, .-switch_discard

	.section	.note.GNU-stack, "", @progbits
	.section	.note.gnu.property, "a"
	.align	8
	.long	4
	.long	16
	.long	5
	.asciz	"GNU"
	.long	0xc0000002
	.long	4
	.long	3
	.long	0
