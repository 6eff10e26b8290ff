# Counts in user mode for ever.
.include "guest.inc"
    start_cpl3
1:  incq results
    jmp 1b
