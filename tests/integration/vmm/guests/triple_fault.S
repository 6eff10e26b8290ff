# An invalid instruction with no interrupt table to report it through.
.include "guest.inc"
    start_cpl3
    movl $0x5eed, %r15d
    ud2
