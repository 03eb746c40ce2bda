/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts how often a static probe of this program is passed, as a tracer does: a trap stands in
 * place of each of its nops, and its handler counts. x86-64 alone.
 */
#ifndef DX_TEST_PROBE_TRAP_H
#define DX_TEST_PROBE_TRAP_H

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "test.h"

#define PROBE_NOP 0x90
#define PROBE_TRAP 0xcc /* int3, which goes on behind itself */
#define PROBE_NOTE_TYPE 3

static inline _Atomic unsigned *probe_hits(void)
{
    static _Atomic unsigned hits;
    return &hits;
}

static inline void probe_hit(int signal)
{
    (void)signal;
    (void)atomic_fetch_add(probe_hits(), 1u);
}

static inline void probe_set_trap(uintptr_t at)
{
    unsigned char *code = (unsigned char *)at; /* NOLINT(performance-no-int-to-ptr) */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = code - at % page;
    assert_int_equal(*code, PROBE_NOP);
    assert_int_equal(mprotect(start, page, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    *code = PROBE_TRAP;
    assert_int_equal(mprotect(start, page, PROT_READ | PROT_EXEC), 0);
}

static inline int probe_find_base(struct dl_phdr_info *info, size_t bytes, void *user)
{
    (void)bytes;
    *(uintptr_t *)user = info->dlpi_addr;
    return 1; /* the program comes first */
}

/* The notes of <sys/sdt.h>: where the nop is, two addresses more, then provider and name. */
static inline unsigned probe_set_traps(const unsigned char *notes, size_t bytes, const char *name)
{
    uintptr_t base = 0;
    unsigned count = 0;
    (void)dl_iterate_phdr(probe_find_base, &base);
    for (size_t at = 0; at < bytes;) {
        Elf64_Nhdr note;
        uint64_t location;
        memcpy(&note, notes + at, sizeof note);
        const unsigned char *body = notes + at + sizeof note + (note.n_namesz + 3) / 4 * 4;
        const char *provider = (const char *)body + 3 * sizeof location;
        memcpy(&location, body, sizeof location);
        if (note.n_type == PROBE_NOTE_TYPE && strcmp(provider, "libdx") == 0 &&
            strcmp(provider + sizeof "libdx", name) == 0) {
            probe_set_trap(base + location);
            count++;
        }
        at = (size_t)(body - notes) + (note.n_descsz + 3) / 4 * 4;
    }
    return count;
}

/* From here on passes of all its places are counted. Returns how many places there are. */
static inline unsigned probe_count(const char *name)
{
    struct stat s;
    unsigned count = 0;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &s) == 0);
    const unsigned char *file = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(file != MAP_FAILED);
    (void)close(fd);
    assert_int_equal(sigaction(SIGTRAP,
                               &(struct sigaction){.sa_handler = probe_hit, .sa_flags = SA_RESTART},
                               NULL),
                     0);
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)(const void *)file;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(const void *)(file + head->e_shoff);
    const char *names = (const char *)file + sections[head->e_shstrndx].sh_offset;
    for (unsigned i = 0; i < head->e_shnum; i++)
        if (strcmp(names + sections[i].sh_name, ".note.stapsdt") == 0)
            count += probe_set_traps(file + sections[i].sh_offset, sections[i].sh_size, name);
    (void)munmap((void *)file, (size_t)s.st_size);
    return count;
}

#endif
