# Supervisor mode with a local APIC: counts interrupts of vector 0x40 in results[0], and ends after three.
.include "guest.inc"
.equ APIC, 0xfee00000
    start_cpl0
    movl $handler, %eax
    movw %ax, idt + 0x40 * 16
    shrl $16, %eax
    movw %ax, idt + 0x40 * 16 + 6
    movw $0x8, idt + 0x40 * 16 + 2
    movw $0x8e00, idt + 0x40 * 16 + 4
    lidt idtr
    movl $APIC, %edi
    movl $0x1ff, 0xf0(%rdi)   # spurious vector, APIC on
    movl $1, results + 8      # ready
    sti
1:  hlt
    cmpl $3, results
    jb 1b
    exit $3
handler:
    incl results
    movl $APIC, %edi
    movl $0, 0xb0(%rdi)       # end of interrupt
    iretq
.data
.balign 16
idt:
    .fill 512, 8, 0
idtr:
    .word 4095
    .quad idt
