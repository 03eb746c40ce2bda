/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a VM can be started with KVM. */
#include <errno.h>
#include <string.h>

#include "doctor.h"

static const char boot_trial[] = "vm/vm and the tests try a boot with a deadline before they "
                                 "choose KVM, and else take TCG, which is slower but works";

/* How KVM translates the addresses of guests. Without help of the hardware it keeps page tables of
 * its own, which has been seen to run small code and yet to boot no kernel. */
static const char *paging(const struct doctor *d, bool *in_hardware)
{
    char answer[8];
    *in_hardware = false;
    if (doctor_read(doctor_path(d, "/sys/module/kvm_intel/parameters/ept"), answer,
                    sizeof answer)) {
        *in_hardware = answer[0] == 'Y' || answer[0] == '1';
        return *in_hardware ? "EPT" : "shadow page tables (kvm_intel without EPT)";
    }
    if (doctor_read(doctor_path(d, "/sys/module/kvm_amd/parameters/npt"), answer, sizeof answer)) {
        *in_hardware = answer[0] == 'Y' || answer[0] == '1';
        return *in_hardware ? "NPT" : "shadow page tables (kvm_amd without NPT)";
    }
#if defined(__x86_64__)
    if (doctor_exists(doctor_path(d, "/sys/module/kvm_pvm")))
        return "shadow page tables (kvm_pvm, no virtualization by hardware)";
    return "unknown means: neither kvm_intel nor kvm_amd is there";
#else
    *in_hardware = true;
    return "stage 2 tables";
#endif
}

static void no_device(struct doctor *d, const struct kvm_trial *t)
{
    char signature[13];
    struct finding *f;
    if (t->error == EACCES || t->error == EPERM) {
        f = doctor_add(d, "kvm", DOCTOR_WARNING, "this user may not open /dev/kvm");
        doctor_advise(f,
                      "usermod -aG kvm USER, and log in anew; VMs are emulated (TCG) until then");
    } else if (t->error != ENOENT) {
        f = doctor_add(d, "kvm", DOCTOR_WARNING, "/dev/kvm cannot be opened: %s",
                       strerror(t->error));
        doctor_advise(f, "modprobe kvm_intel or kvm_amd, and read what the kernel logs of it");
    } else if (d->probes->hypervisor(signature)) {
        (void)doctor_add(
            d, "kvm", DOCTOR_OK,
            "there is no /dev/kvm in this guest; only a VM inside of it would need one");
    } else {
        f = doctor_add(d, "kvm", DOCTOR_WARNING, "there is no /dev/kvm: VMs are emulated (TCG)");
        doctor_advise(f, "modprobe kvm_intel or kvm_amd; switch virtualization on in the firmware");
    }
}

static void failed(struct doctor *d, const struct kvm_trial *t)
{
    static const char *const steps[] = {
        [KVM_STEP_OPEN] = "starting a process to try it",
        [KVM_STEP_VERSION] = "its version",
        [KVM_STEP_VM] = "making a VM",
        [KVM_STEP_VCPU] = "making a virtual CPU",
        [KVM_STEP_REAL] = "running 16-bit code",
        [KVM_STEP_LONG] = "running 64-bit code with page tables",
    };
    struct finding *f =
        doctor_add(d, "kvm", DOCTOR_PROBLEM, "/dev/kvm opens, but %s ", steps[t->step]);
    if (t->timed_out)
        doctor_append(f, "hangs: killed after %lld s", KVM_TRIAL_NS / 1000000000);
    else if (t->error != 0)
        doctor_append(f, "fails: %s", strerror(t->error));
    else if (t->step == KVM_STEP_VERSION)
        doctor_append(f, "is %d instead of 12", t->version);
    else
        doctor_append(f, "ends wrongly (exit reason %u)", t->exit_reason);
    doctor_advise(f, "%s", boot_trial);
}

void doctor_check_kvm(struct doctor *d)
{
    struct kvm_trial t;
    bool in_hardware;
    const char *means = paging(d, &in_hardware);
    d->probes->kvm(doctor_path(d, "/dev/kvm").text, &t);
    if (t.step == KVM_STEP_OPEN && t.error != 0 && !t.timed_out) {
        no_device(d, &t);
        return;
    }
    if (t.step < KVM_STEP_DONE) {
        failed(d, &t);
        return;
    }
    const char *ran = t.step == KVM_STEP_DONE
                          ? "a VM was made and a virtual CPU ran 16-bit code and 64-bit code with "
                            "page tables, up to the right sums"
                          : "a VM was made; running code is not tried on this kind of CPU";
    bool enough = in_hardware && t.step == KVM_STEP_DONE;
    struct finding *f =
        doctor_add(d, "kvm", enough ? DOCTOR_OK : DOCTOR_WARNING, "%s; memory by %s", ran, means);
    if (!enough)
        doctor_advise(f, "no proof that a kernel boots: %s", boot_trial);
}
