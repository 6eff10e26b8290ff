# Counts in supervisor mode for ever.
.include "guest.inc"
    start_cpl0
1:  incq results
    jmp 1b
