# Sleeps in the wait device and notes every wake-up: results[0] counts them, results[1...] are the bits returned and,
# in the upper half, the bits that the control block showed. Console input is echoed; 'd' sets a deadline of
# results[-1] TSC ticks from then. The power button ends it with status 7.
.include "guest.inc"
.equ control_block, results - 256
.equ ticks, results - 8
    start_cpl3
    movl $CONTROL_BLOCK_PORT, %edx
    movl $control_block, %eax
    outl %eax, %dx
sleep:
    movl $WAIT_PORT, %edx
    inl %dx, %eax
    xorl %ecx, %ecx
    xchgl %ecx, control_block + 8
    movl results, %esi
    incl %esi
    movl %eax, results(,%rsi,8)
    movl %ecx, results + 4(,%rsi,8)
    movq $0, control_block
    movl %esi, results        # counted last: the host reads the entry then
    testl $4, %ecx
    jnz button
drain:
    movl $(SERIAL + 5), %edx
    inb %dx, %al
    testb $1, %al
    jz sleep
    movl $SERIAL, %edx
    inb %dx, %al
    outb %al, %dx
    cmpb $'d', %al
    jne drain
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    addq ticks, %rax
    movq %rax, control_block
    jmp drain
button:
    exit $7
