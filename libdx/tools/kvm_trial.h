/* SPDX-License-Identifier: Apache-2.0 */
/* Whether KVM runs instructions: a device that opens proves nothing. */
#ifndef DX_TOOL_KVM_TRIAL_H
#define DX_TOOL_KVM_TRIAL_H

#include <stdbool.h>

/* What is tried, in this order. */
enum kvm_step {
    KVM_STEP_OPEN = 0,
    KVM_STEP_VERSION, /* of the interface: 12 */
    KVM_STEP_VM,      /* a virtual machine with 64 KiB */
    KVM_STEP_VCPU,
    KVM_STEP_REAL,    /* 16-bit code up to its HLT, the sum that it computes checked */
    KVM_STEP_LONG,    /* the same in 64-bit mode with page tables, as kernels run */
    KVM_STEP_DONE,    /* all of it went well */
    KVM_STEP_UNTRIED, /* no trial is written for this kind of CPU; a VM can be made */
};

struct kvm_trial {
    enum kvm_step step; /* the one that failed, or hung, or KVM_STEP_DONE */
    int error;          /* errno of that step; 0: it answered wrongly, or not at all */
    int version;
    unsigned exit_reason; /* what KVM_RUN said instead of KVM_EXIT_HLT */
    bool timed_out;       /* the step did not end in KVM_TRIAL_NS and was killed */
};

#define KVM_TRIAL_NS 2000000000ll

/* Tries /dev/kvm, or what a test takes for it, in a child process that is killed when its time is
 * up. Blocks for that long at most, and one second more for a kernel that does not let go. */
void kvm_trial_run(const char *path, struct kvm_trial *trial);

#endif
