/* SPDX-License-Identifier: Apache-2.0 */
/* A made-up machine for the checks of dx doctor: a tree of files, and probes that answer as a test
 * wants. */
#ifndef DX_TEST_DOCTOR_SCENE_H
#define DX_TEST_DOCTOR_SCENE_H

#include <ftw.h>

#include "../tools/doctor.h"
#include "files.h"
#include "json.h"

struct doctor_scene {
    char root[64];
    struct doctor_probes probes;
    struct doctor doctor;
    /* What the probes say. */
    int cpus;
    const char *hypervisor; /* NULL: there is none */
    int kvm;                /* errno */
    int kvm_version;
    uint64_t shm_total_bytes;
    uint64_t shm_free_bytes;
    int access;
    int64_t slack_ns;
    int64_t took_ns;
    int mapping;                   /* errno */
    struct mapping_times times[2]; /* of resource2 and resource2_wc */
    int cycles;
    bool unknown_kernel;
};

static inline struct doctor_scene *the_scene(void)
{
    static struct doctor_scene scene;
    return &scene;
}

static inline bool scene_affinity(cpu_set_t *set)
{
    for (int cpu = 0; cpu < the_scene()->cpus; cpu++)
        CPU_SET(cpu, set);
    return the_scene()->cpus > 0;
}

static inline bool scene_hypervisor(char signature[13])
{
    const char *name = the_scene()->hypervisor;
    (void)snprintf(signature, 13, "%s", name != NULL ? name : "");
    return name != NULL;
}

static inline int scene_kvm(const char *path, int *version)
{
    assert_string_equal(path + strlen(path) - strlen("/dev/kvm"), "/dev/kvm");
    *version = the_scene()->kvm_version;
    return the_scene()->kvm;
}

static inline bool scene_space(const char *path, uint64_t *total_bytes, uint64_t *free_bytes)
{
    (void)path;
    *total_bytes = the_scene()->shm_total_bytes;
    *free_bytes = the_scene()->shm_free_bytes;
    return true;
}

static inline int scene_access(const char *path, int mode)
{
    (void)path;
    (void)mode;
    return the_scene()->access;
}

static inline void scene_sleep(int64_t *slack_ns, int64_t *took_ns)
{
    *slack_ns = the_scene()->slack_ns;
    *took_ns = the_scene()->took_ns;
}

static inline int scene_mapping(const char *path, size_t bytes, struct mapping_times *times)
{
    struct stat s;
    assert_int_equal(bytes, MAPPING_KIND_BYTES);
    if (stat(path, &s) != 0)
        return errno;
    *times = the_scene()->times[strstr(path, "_wc") != NULL];
    return the_scene()->mapping;
}

static inline int scene_cycles(void)
{
    return the_scene()->cycles;
}

static inline bool scene_kernel(void)
{
    return !the_scene()->unknown_kernel;
}

/* A healthy machine without any file; tests spoil it. */
static inline int set_doctor_scene(void **state)
{
    struct doctor_scene *s = the_scene();
    memset(s, 0, sizeof *s);
    (void)snprintf(s->root, sizeof s->root, "/tmp/dx-doctor-XXXXXX");
    assert_non_null(mkdtemp(s->root));
    s->probes = (struct doctor_probes){
        scene_affinity, scene_hypervisor, scene_kvm,    scene_space,  scene_access,
        scene_sleep,    scene_mapping,    scene_cycles, scene_kernel, 1000};
    s->doctor.root = s->root;
    s->doctor.probes = &s->probes;
    s->cpus = 2;
    s->kvm_version = 12;
    s->shm_total_bytes = s->shm_free_bytes = 1ull << 30;
    s->slack_ns = 50000;
    s->took_ns = 65000;
    *state = s;
    return 0;
}

static inline int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int clear_doctor_scene(void **state)
{
    const struct doctor_scene *s = *state;
    return nftw(s->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Makes the folders that a path below the root lies in, and returns the complete path. */
static inline const char *scene_path(const char *path)
{
    static char complete[256];
    (void)snprintf(complete, sizeof complete, "%.40s%.200s", the_scene()->root, path);
    for (char *slash = complete + strlen(the_scene()->root) + 1;
         (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (mkdir(complete, 0700) != 0)
            assert_int_equal(errno, EEXIST);
        *slash = '/';
    }
    return complete;
}

static inline void put_bytes(const char *path, const void *bytes, size_t count)
{
    int fd = open(scene_path(path), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    (void)close(fd);
}

static inline void put_file(const char *path, const char *text)
{
    put_bytes(path, text, strlen(text));
}

static inline void put_link(const char *path, const char *target)
{
    assert_int_equal(symlink(target, scene_path(path)), 0);
}

static inline void put_folder(const char *path)
{
    char inside[256];
    (void)snprintf(inside, sizeof inside, "%s/", path);
    (void)scene_path(inside);
}

static inline const struct finding *find(const char *check)
{
    const struct doctor *d = &the_scene()->doctor;
    for (size_t i = 0; i < d->count; i++)
        if (strcmp(d->findings[i].check, check) == 0)
            return &d->findings[i];
    return NULL;
}

/* Examines the machine and looks for a finding of that level that says this, and whose advice
 * says that; advice NULL: none is given. */
static inline void check_finding(const char *check, enum doctor_level level, const char *found,
                                 const char *advice, const char *file, int line)
{
    doctor_examine(&the_scene()->doctor);
    const struct finding *f = find(check);
    bool right = f != NULL && f->level == level && strstr(f->found, found) != NULL &&
                 (advice == NULL ? f->advice[0] == '\0' : strstr(f->advice, advice) != NULL);
    if (right)
        return;
    if (f == NULL)
        print_error("nothing was found of %s\n", check);
    else
        print_error("%s: level %d, expected %d with \"%s\" and the advice \"%s\"; it is\n%s\n%s\n",
                    check, (int)f->level, (int)level, found, advice != NULL ? advice : "", f->found,
                    f->advice);
    _fail(file, line);
}

#define assert_ok(check, found, advice)                                                            \
    check_finding((check), DOCTOR_OK, (found), (advice), __FILE__, __LINE__)
#define assert_warned(check, found, advice)                                                        \
    check_finding((check), DOCTOR_WARNING, (found), (advice), __FILE__, __LINE__)
#define assert_problem(check, found, advice)                                                       \
    check_finding((check), DOCTOR_PROBLEM, (found), (advice), __FILE__, __LINE__)

#endif
