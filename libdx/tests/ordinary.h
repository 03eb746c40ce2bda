/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of limits that root does not have: run by a user who is nobody else's. */
#ifndef DX_TEST_ORDINARY_H
#define DX_TEST_ORDINARY_H

#include <sys/resource.h>

#include "users.h"

#define ORDINARY_UID 1000000u /* and more; where a container does not map these: nobody's */

/* First thing in main, before any thread: from here on the program is run by an ordinary user who
 * may have this many descriptors. The user is one of this process alone, because the kernel counts
 * descriptors on their way by user. Root waits for the end and returns what it was. */
static inline void become_ordinary(rlim_t descriptors)
{
    const struct rlimit limit = {descriptors, descriptors};
    if (geteuid() == 0) {
        pid_t child = fork();
        int status = -1;
        if (child > 0) {
            while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
            exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
        if (child < 0)
            exit(1);
        uid_t own = ORDINARY_UID + (uid_t)getpid();
        if (setgroups(0, NULL) != 0)
            _exit(113);
        if (setresgid(own, own, own) != 0 || setresuid(own, own, own) != 0)
            user_become((struct user){"nobody", 65534, 65534});
        /* As there: what a change of the user takes from us. */
        else if (prctl(PR_SET_DUMPABLE, 1) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
            _exit(114);
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || geteuid() == 0) {
        (void)fprintf(stderr, "cannot become an ordinary user: %s\n", strerror(errno));
        exit(1);
    }
}

#endif
