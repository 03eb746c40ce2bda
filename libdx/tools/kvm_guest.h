/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest guest there is: 64 KiB, a loop that adds, one store, HLT. */
#ifndef DX_TOOL_KVM_GUEST_H
#define DX_TOOL_KVM_GUEST_H

#include "kvm_trial.h"

/* Goes through the steps from KVM_STEP_VERSION on with the descriptor of the open device, and
 * keeps *trial up to date, so that one who kills this process knows where it was. */
void kvm_guest_run(int kvm, volatile struct kvm_trial *trial);

#endif
