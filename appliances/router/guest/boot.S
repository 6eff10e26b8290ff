/*
 * Entry of the appliance by the PVH boot ABI (Xen, "x86/HVM direct boot ABI"): 32-bit protected mode, flat segments,
 * paging off, EBX = address of struct hvm_start_info. Switches to long mode and leaves for CPL 3 for good: there are
 * no interrupts, no interrupt table and no way back, so a fault is a triple fault, which the VMM reports as a crash.
 * Ports are opened to CPL 3 by the I/O permission bitmap, since a host that emulates supervisor mode (PVM) does not
 * keep IOPL.
 *
 * Some hosts emulate supervisor mode about a thousand times slower than user mode runs, hence page tables and GDT
 * are laid out by the assembler and some thirty instructions remain.
 */

#define NOTE_PHYS32_ENTRY 18

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_NE 0x00000020
#define CR0_PG 0x80000000
#define CR4_PAE 0x020
#define CR4_OSFXSR 0x200
#define CR4_OSXMMEXCPT 0x400
#define MSR_EFER 0xC0000080
#define EFER_LME 0x100

/* Offsets in the GDT below. */
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA 0x10
#define SELECTOR_USER_DATA 0x18
#define SELECTOR_USER_CODE64 0x20
#define SELECTOR_TSS 0x28

#define TSS_BYTES 104
#define PORTS 0x1000                    /* ports below are CPL 3's */
#define TSS_LIMIT (TSS_BYTES + PORTS / 8)

#define RFLAGS_RESERVED 0x0002

/* Present, writable, user; accessed and dirty from the start, so that no walker ever has to write to the tables. */
#define PTE_TABLE 0x27
#define PTE_LARGE 0xE7

        .section .note.Xen, "a", @note
        .align 4
        .long   2f - 1f
        .long   4f - 3f
        .long   NOTE_PHYS32_ENTRY
1:      .asciz  "Xen"
2:      .align 4
3:      .long   _start
4:      .align 4

        .section .text.boot, "ax", @progbits
        .code32
        .globl  _start
        .type   _start, @function
_start:
        rdtsc                           /* the guest's start of time */
        movl    %eax, %esi
        movl    %edx, %edi
        movl    $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
        movl    %eax, %cr4
        movl    $pml4, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        movl    $EFER_LME, %eax
        xorl    %edx, %edx
        wrmsr
        movl    $(CR0_PE | CR0_MP | CR0_NE | CR0_PG), %eax
        movl    %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $SELECTOR_CODE64, $1f

        .code64
1:      movl    $SELECTOR_DATA, %eax
        movl    %eax, %ss
        movl    $SELECTOR_TSS, %eax
        ltr     %ax
        movl    $(SELECTOR_USER_DATA | 3), %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    $stack_top, %esp
        pushq   $(SELECTOR_USER_DATA | 3)
        pushq   $stack_top
        pushq   $RFLAGS_RESERVED
        pushq   $(SELECTOR_USER_CODE64 | 3)
        pushq   $user_mode
        iretq

        /* CPL 3 from here: native speed. void guest_main(const StartInfo*, uint64_t start_tsc) */
user_mode:
        shlq    $32, %rdi
        movl    %esi, %esi
        orq     %rdi, %rsi
        movl    %ebx, %edi
        xorl    %ebp, %ebp
        call    guest_main
        ud2
        .size   _start, . - _start

        .section .data.boot, "aw", @progbits
        .align 8
gdt:    .quad   0
        .quad   0x00AF9B000000FFFF
        .quad   0x00CF93000000FFFF
        .quad   0x00CFF3000000FFFF
        .quad   0x00AFFB000000FFFF
        .word   TSS_LIMIT, tss_base_0_15        /* the pieces of its address come from router.ld */
        .byte   tss_base_16_23, 0x89, 0, 0
        .quad   0
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

        .globl  tss
        .align  8
tss:    .fill   102, 1, 0
        .word   TSS_BYTES               /* offset of the I/O permission bitmap */
        .fill   PORTS / 8, 1, 0
        .byte   0xFF

        /* Identity map of the first 4 GiB in 2 MiB pages: RAM, and the PCI windows below 4 GiB. */
        .align 4096
pml4:   .quad   pdpt + PTE_TABLE
        .fill   511, 8, 0
pdpt:   .quad   directories + PTE_TABLE
        .quad   directories + 0x1000 + PTE_TABLE
        .quad   directories + 0x2000 + PTE_TABLE
        .quad   directories + 0x3000 + PTE_TABLE
        .fill   508, 8, 0
directories:
        .set    page, 0
        .rept   4 * 512
        .quad   page + PTE_LARGE
        .set    page, page + 0x200000
        .endr

        .section .bss.stack, "aw", @nobits
        .align 4096
        .space  65536
stack_top:

        .section .note.GNU-stack, "", @progbits
