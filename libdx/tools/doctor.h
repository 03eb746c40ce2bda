/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dx doctor: what this machine, host or guest, offers and denies to dx.
 *
 * Each check reads facts and adds a finding. Facts come from two places, both of which a test can
 * make up: files below `root`, and `probes`, which do something (ask KVM, time a
 * mapping, ask a file system for its space). No check changes anything.
 */
#ifndef DX_TOOL_DOCTOR_H
#define DX_TOOL_DOCTOR_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mapping/kind.h"

#define DOCTOR_FINDINGS 32
#define DOCTOR_TEXT_BYTES 512
#define DOCTOR_PATH_BYTES 1024
#define DOCTOR_CPUS 1024

enum doctor_level { DOCTOR_OK = 0, DOCTOR_WARNING = 1, DOCTOR_PROBLEM = 2 };
#define DOCTOR_LEVELS 3

struct finding {
    char check[24]; /* its name, also the key for programs */
    enum doctor_level level;
    char found[DOCTOR_TEXT_BYTES];
    char advice[DOCTOR_TEXT_BYTES]; /* empty: nothing is to be done */
};

/* What can only be told by trying. Paths are complete, root included. */
struct doctor_probes {
    /* CPUs that this process may run on; false: the kernel does not say. */
    bool (*affinity)(cpu_set_t *set);
    /* The 12 letters by which a hypervisor names itself; false: there is none, or none speaks. */
    bool (*hypervisor)(char signature[13]);
    /* Opens a device of KVM and asks for the version of its interface; else an errno. */
    int (*kvm)(const char *path, int *version);
    /* Bytes of a file system, and those that are free; false: there is none at that path. */
    bool (*space)(const char *path, uint64_t *total_bytes, uint64_t *free_bytes);
    /* Whether a file can be used with these bits of access(2); else an errno. */
    int (*access)(const char *path, int mode);
    /* What a sleep of 10 us takes, and the slack that the kernel may add to one. */
    void (*sleep)(int64_t *slack_ns, int64_t *took_ns);
    /* Maps so many bytes of a file for reading and times that; else an errno. */
    int (*mapping)(const char *path, size_t bytes, struct mapping_times *times);
    /* Opens and closes the counter of CPU cycles; 0 or an errno. */
    int (*cycles)(void);
    /* Whether it can be found out which kernel this is. */
    bool (*kernel)(void);
    uint32_t user; /* effective user id */
};

struct doctor {
    const char *root; /* put before every path; "" is this machine */
    const struct doctor_probes *probes;
    size_t count;
    struct finding findings[DOCTOR_FINDINGS];
};

/* Runs every check. */
void doctor_examine(struct doctor *d);

void doctor_check_cpus(struct doctor *d);
void doctor_check_quota(struct doctor *d);
void doctor_check_hypervisor(struct doctor *d);
void doctor_check_waiting(struct doctor *d);
void doctor_check_kvm(struct doctor *d);
void doctor_check_memory(struct doctor *d);
void doctor_check_names(struct doctor *d);
void doctor_check_limits(struct doctor *d);
void doctor_check_lockdown(struct doctor *d);
void doctor_check_devices(struct doctor *d);
void doctor_check_vfio(struct doctor *d);
void doctor_check_counters(struct doctor *d);

/* Adds a finding; beyond DOCTOR_FINDINGS the last one is written over. */
__attribute__((format(printf, 4, 5))) struct finding *
doctor_add(struct doctor *d, const char *check, enum doctor_level level, const char *format, ...);

/* Appends to what was found. */
__attribute__((format(printf, 2, 3))) void doctor_append(struct finding *f, const char *format,
                                                         ...);

/* Says what to do about it. */
__attribute__((format(printf, 2, 3))) void doctor_advise(struct finding *f, const char *format,
                                                         ...);

size_t doctor_count(const struct doctor *d, enum doctor_level level);
void doctor_print(const struct doctor *d, FILE *out);
void doctor_print_json(const struct doctor *d, FILE *out);

/* The complete path of what the format says. */
struct doctor_path {
    char text[DOCTOR_PATH_BYTES];
};
__attribute__((format(printf, 2, 3))) struct doctor_path doctor_path(const struct doctor *d,
                                                                     const char *format, ...);

/* Reads the beginning of a file, without the white space at its end. False, and an empty text, if
 * it cannot be read. */
bool doctor_read(struct doctor_path path, char *text, size_t bytes);

/* Reads a file that holds one integer. */
bool doctor_read_number(struct doctor_path path, int64_t *number);

bool doctor_exists(struct doctor_path path);

/* Entries of a folder but "." and ".."; -1 if it cannot be read. */
int doctor_count_entries(struct doctor_path path);

/* The last component of what a link points to; empty if it is none. */
void doctor_read_link(struct doctor_path path, char *name, size_t bytes);

/* The value of "name : value" or "name: value" in a file; empty if it has none. */
void doctor_read_field(struct doctor_path path, const char *name, char *value, size_t bytes);

/* Whether a list of words has this one. */
bool doctor_has_word(const char *words, const char *word);

/* The ivshmem devices, in the order of their addresses, at most `most`; returns their number. */
#define DOCTOR_ADDRESS_BYTES 32
size_t doctor_find_devices(const struct doctor *d, char (*address)[DOCTOR_ADDRESS_BYTES],
                           size_t most);

/* The size of a BAR of a PCI device in bytes; 0: it has none. */
uint64_t doctor_bar_bytes(const struct doctor *d, const char *address, int bar);

#endif
