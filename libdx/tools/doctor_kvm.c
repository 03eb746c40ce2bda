/* SPDX-License-Identifier: Apache-2.0 */
/* Whether QEMU can be given KVM. That a kernel boots under it only a boot can show. */
#include <errno.h>
#include <string.h>

#include "doctor.h"

#define KVM_API 12 /* the only version since Linux 2.6.22 */

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

static void no_device(struct doctor *d, int error)
{
    char signature[13];
    struct finding *f;
    if (error == EACCES || error == EPERM) {
        f = doctor_add(d, "kvm", DOCTOR_WARNING, "this user may not open /dev/kvm");
        doctor_advise(f,
                      "usermod -aG kvm USER, and log in anew; VMs are emulated (TCG) until then");
    } else if (error != ENOENT) {
        f = doctor_add(d, "kvm", DOCTOR_WARNING, "/dev/kvm cannot be opened: %s", strerror(error));
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

void doctor_check_kvm(struct doctor *d)
{
    int version;
    bool in_hardware;
    const char *means = paging(d, &in_hardware);
    int error = d->probes->kvm(doctor_path(d, "/dev/kvm").text, &version);
    if (error != 0) {
        no_device(d, error);
        return;
    }
    struct finding *f;
    if (version != KVM_API) {
        f = doctor_add(d, "kvm", DOCTOR_PROBLEM,
                       "/dev/kvm opens, and is no KVM: its version is %d instead of %d", version,
                       KVM_API);
        doctor_advise(f, "look at what /dev/kvm is; VMs are emulated (TCG) until then");
        return;
    }
    f = doctor_add(d, "kvm", in_hardware ? DOCTOR_OK : DOCTOR_WARNING,
                   "/dev/kvm opens; memory by %s", means);
    doctor_advise(f, "vm/vm accel tries whether a kernel boots with KVM");
}
