# Copies the first 256 bytes of configuration space of devices 0 to 3 to the results, enables bus mastering on device 1,
# and copies device 1 once more behind that.
.include "guest.inc"
.macro copy device to
    movl $(ECAM + \device * 0x8000), %esi
    movl $(results + \to * 256), %edi
    movl $64, %ecx
    rep movsl
.endm
    start_cpl3
    copy 0 0
    copy 1 1
    copy 2 2
    copy 3 3
    movl $(ECAM + 0x8004), %edi
    movw $0x0006, (%rdi)
    copy 1 4
    exit $0
