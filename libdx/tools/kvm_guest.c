/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm_guest.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#if defined(__x86_64__)

enum {
    MEMORY_BYTES = 0x10000,
    CODE = 0x1000,
    RESULT = 0x2000,
    TABLES = 0x3000, /* one page for each of the four levels */
    PAGE = 0x1000,
    STACK = 0xf000,
};

/* xor ax,ax; mov cx,1000; 1: add ax,cx; loop 1b; mov [0x2000],ax; hlt */
static const uint8_t real_code[] = {0x31, 0xc0, 0xb9, 0xe8, 0x03, 0x01, 0xc8,
                                    0xe2, 0xfc, 0xa3, 0x00, 0x20, 0xf4};
#define REAL_SUM (500500u & 0xffffu)

/* xor eax,eax; mov ecx,100000; 1: add rax,rcx; dec ecx; jnz 1b; mov [0x2000],rax; hlt */
static const uint8_t long_code[] = {0x31, 0xc0, 0xb9, 0xa0, 0x86, 0x01, 0x00, 0x48,
                                    0x01, 0xc8, 0xff, 0xc9, 0x75, 0xf9, 0x48, 0x89,
                                    0x04, 0x25, 0x00, 0x20, 0x00, 0x00, 0xf4};
#define LONG_SUM 5000050000ull

struct guest {
    int vm;
    int vcpu;
    uint8_t *memory;
    struct kvm_run *run;
};

static bool make_vm(int kvm, struct guest *g)
{
    g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (g->vm < 0)
        return false;
    g->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (g->memory == MAP_FAILED)
        return false;
    /* Where old Intel CPUs keep what they need for real mode; others ignore it. */
    (void)ioctl(g->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
    struct kvm_userspace_memory_region region = {.memory_size = MEMORY_BYTES,
                                                 .userspace_addr = (uintptr_t)g->memory};
    return ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool make_vcpu(int kvm, struct guest *g)
{
    int bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
    if (g->vcpu < 0 || bytes < (int)sizeof *g->run)
        return false;
    g->run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
    return g->run != MAP_FAILED;
}

static bool set_registers(const struct guest *g)
{
    struct kvm_regs registers = {.rip = CODE, .rsp = STACK, .rflags = 2};
    return ioctl(g->vcpu, KVM_SET_REGS, &registers) == 0;
}

static bool enter_real_mode(const struct guest *g)
{
    struct kvm_sregs s;
    if (ioctl(g->vcpu, KVM_GET_SREGS, &s) != 0)
        return false;
    s.cs.base = 0;
    s.cs.selector = 0;
    memcpy(g->memory + CODE, real_code, sizeof real_code);
    return ioctl(g->vcpu, KVM_SET_SREGS, &s) == 0 && set_registers(g);
}

/* Page tables that map the memory to itself. */
static void write_tables(uint8_t *memory)
{
    const uint64_t present_writable = 3;
    for (unsigned level = 0; level < 3; level++) {
        uint64_t next = (TABLES + (level + 1) * PAGE) | present_writable;
        memcpy(memory + TABLES + level * PAGE, &next, sizeof next);
    }
    for (uint64_t page = 0; page < MEMORY_BYTES / PAGE; page++) {
        uint64_t entry = page * PAGE | present_writable;
        memcpy(memory + TABLES + 3 * PAGE + page * sizeof entry, &entry, sizeof entry);
    }
}

static bool enter_long_mode(const struct guest *g)
{
    struct kvm_sregs s;
    struct kvm_segment code = {
        .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1};
    struct kvm_segment data = {
        .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1};
    if (ioctl(g->vcpu, KVM_GET_SREGS, &s) != 0)
        return false;
    write_tables(g->memory);
    s.cs = code;
    s.ds = s.es = s.fs = s.gs = s.ss = data;
    s.cr3 = TABLES;
    s.cr4 = 1u << 5;                          /* PAE */
    s.cr0 = 1u << 31 | 1u << 5 | 1u << 4 | 1; /* paging, NE, ET, protected mode */
    s.efer = 1u << 10 | 1u << 8;              /* long mode active and enabled */
    memcpy(g->memory + CODE, long_code, sizeof long_code);
    return ioctl(g->vcpu, KVM_SET_SREGS, &s) == 0 && set_registers(g);
}

/* Runs up to HLT, as often as a signal or a fault of the host's interrupts that. */
static bool run_to_halt(const struct guest *g, uint64_t sum, volatile struct kvm_trial *trial)
{
    int code;
    do
        code = ioctl(g->vcpu, KVM_RUN, 0);
    while (code != 0 && (errno == EINTR || errno == EAGAIN));
    if (code != 0)
        return false;
    errno = 0;
    trial->exit_reason = g->run->exit_reason;
    uint64_t result;
    memcpy(&result, g->memory + RESULT, sizeof result);
    return g->run->exit_reason == KVM_EXIT_HLT && result == sum;
}

/* Whether all steps from KVM_STEP_VM on went well; errno says why not. */
static bool go_through(int kvm, volatile struct kvm_trial *trial)
{
    struct guest g;
    trial->step = KVM_STEP_VM;
    if (!make_vm(kvm, &g))
        return false;
    trial->step = KVM_STEP_VCPU;
    if (!make_vcpu(kvm, &g))
        return false;
    trial->step = KVM_STEP_REAL;
    if (!enter_real_mode(&g) || !run_to_halt(&g, REAL_SUM, trial))
        return false;
    trial->step = KVM_STEP_LONG;
    if (!enter_long_mode(&g) || !run_to_halt(&g, LONG_SUM, trial))
        return false;
    trial->step = KVM_STEP_DONE;
    return true;
}

#else

static bool go_through(int kvm, volatile struct kvm_trial *trial)
{
    trial->step = KVM_STEP_VM;
    if (ioctl(kvm, KVM_CREATE_VM, 0) < 0)
        return false;
    trial->step = KVM_STEP_UNTRIED;
    return true;
}

#endif

void kvm_guest_run(int kvm, volatile struct kvm_trial *trial)
{
    errno = 0;
    trial->step = KVM_STEP_VERSION;
    trial->version = ioctl(kvm, KVM_GET_API_VERSION, 0);
    if (trial->version != KVM_API_VERSION || !go_through(kvm, trial))
        trial->error = errno;
}
