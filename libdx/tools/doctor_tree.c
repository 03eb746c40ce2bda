/* SPDX-License-Identifier: Apache-2.0 */
/* Files as the kernel shows its facts. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

struct doctor_path doctor_path(const struct doctor *d, const char *format, ...)
{
    struct doctor_path path;
    va_list arguments;
    (void)snprintf(path.text, sizeof path.text, "%s", d->root);
    size_t used = strlen(path.text);
    va_start(arguments, format);
    (void)vsnprintf(path.text + used, sizeof path.text - used, format, arguments);
    va_end(arguments);
    return path;
}

bool doctor_read(struct doctor_path path, char *text, size_t bytes)
{
    size_t used = 0;
    int fd = open(path.text, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    text[0] = '\0';
    if (fd < 0)
        return false;
    while (used < bytes - 1) {
        ssize_t now = read(fd, text + used, bytes - 1 - used);
        if (now < 0 && errno == EINTR)
            continue;
        if (now <= 0)
            break;
        used += (size_t)now;
    }
    (void)close(fd);
    while (used > 0 && isspace((unsigned char)text[used - 1]))
        used--;
    text[used] = '\0';
    return true;
}

bool doctor_read_number(struct doctor_path path, int64_t *number)
{
    char text[64];
    char *end;
    if (!doctor_read(path, text, sizeof text))
        return false;
    errno = 0;
    *number = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

bool doctor_exists(struct doctor_path path)
{
    struct stat s;
    return stat(path.text, &s) == 0;
}

int doctor_count_entries(struct doctor_path path)
{
    int count = 0;
    DIR *folder = opendir(path.text);
    if (folder == NULL)
        return -1;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    (void)closedir(folder);
    return count;
}

void doctor_read_link(struct doctor_path path, char *name, size_t bytes)
{
    char target[DOCTOR_PATH_BYTES];
    ssize_t length = readlink(path.text, target, sizeof target - 1);
    name[0] = '\0';
    if (length < 0)
        return;
    target[length] = '\0';
    const char *slash = strrchr(target, '/');
    (void)snprintf(name, bytes, "%s", slash != NULL ? slash + 1 : target);
}

void doctor_read_field(struct doctor_path path, const char *name, char *value, size_t bytes)
{
    char line[8192];
    size_t length = strlen(name);
    FILE *file = fopen(path.text, "re");
    value[0] = '\0';
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, name, length) != 0)
            continue;
        const char *colon = line + length + strspn(line + length, " \t");
        if (*colon != ':')
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        (void)snprintf(value, bytes, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    (void)fclose(file);
}

bool doctor_has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *p = words; *p != '\0';) {
        size_t here = strcspn(p, " \t\n");
        if (here == length && memcmp(p, word, length) == 0)
            return true;
        p += here;
        p += strspn(p, " \t\n");
    }
    return false;
}
