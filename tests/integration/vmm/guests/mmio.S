# Accesses the first BAR with every width: writes at 0x10, 0x20, 0x30, 0x40, reads at 0x50 into the results, and a read
# where no BAR is.
.include "guest.inc"
    start_cpl3
    movl $BAR_WINDOW, %edi
    movb $0x11, 0x10(%rdi)
    movw $0x2222, 0x20(%rdi)
    movl $0x33333333, 0x30(%rdi)
    movabsq $0x4444444455555555, %rax
    movq %rax, 0x40(%rdi)
    movzbl 0x50(%rdi), %eax
    movq %rax, results
    movzwl 0x50(%rdi), %eax
    movq %rax, results + 8
    movl 0x50(%rdi), %eax
    movq %rax, results + 16
    movq 0x50(%rdi), %rax
    movq %rax, results + 24
    movl 0x1000000(%rdi), %eax
    movq %rax, results + 32
    exit $0
