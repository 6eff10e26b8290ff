# Halts in supervisor mode.
.include "guest.inc"
    start_cpl0
    hlt
1:  jmp 1b
