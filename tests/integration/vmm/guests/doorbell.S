# Rings the doorbell at 0x100 of the first BAR once with each width.
.include "guest.inc"
    start_cpl3
    movl $(BAR_WINDOW + 0x100), %edi
    movb $1, (%rdi)
    movw $2, (%rdi)
    movl $3, (%rdi)
    movq $4, (%rdi)
    exit $0
