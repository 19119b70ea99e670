/* SPDX-License-Identifier: Apache-2.0 */
/* AAPCS64.  A saved context is 176 bytes of stack: x19-x30, d8-d15, FPCR. */
	.text

	.globl	switch_to
	.hidden	switch_to
	.type	switch_to, %function
	.align	4
switch_to:
	.cfi_startproc
	hint	#34
	sub	sp, sp, #176
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x10, fpcr
	str	x10, [sp, #160]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldr	x9, [sp, #160]
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x9
1:	add	sp, sp, #176
	ret
	.cfi_endproc
	.size	switch_to, .-switch_to

/* A fresh context arrives here with the entry in x19. */
	.type	switch_begin, %function
	.align	4
switch_begin:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36
	mov	x29, xzr
	mov	x30, xzr
	br	x19
	.cfi_endproc
	.size	switch_begin, .-switch_begin

	.globl	switch_prepare
	.hidden	switch_prepare
	.type	switch_prepare, %function
	.align	4
switch_prepare:
	.cfi_startproc
	hint	#34
	sub	x2, x0, #176
	mov	x3, #0
0:	str	xzr, [x2, x3]
	add	x3, x3, #8
	cmp	x3, #176
	b.lt	0b
	str	x1, [x2, #0]
	adrp	x4, switch_begin
	add	x4, x4, :lo12:switch_begin
	str	x4, [x2, #88]
	mrs	x4, fpcr
	str	x4, [x2, #160]
	mov	x0, x2
	ret
	.cfi_endproc
	.size	switch_prepare, .-switch_prepare

	.globl	switch_discard
	.hidden	switch_discard
	.type	switch_discard, %function
switch_discard:
	.cfi_startproc
	hint	#34
	ret
	.cfi_endproc
	.size	switch_discard, .-switch_discard

	.section	.note.GNU-stack, "", %progbits
	.section	.note.gnu.property, "a"
	.align	3
	.long	4
	.long	16
	.long	5
	.asciz	"GNU"
	.long	0xc0000000
	.long	4
	.long	3
	.long	0
