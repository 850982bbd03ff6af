/* The calls that change names: create, rename, link, unlink, mkdir, rmdir; see powerloss.h. */
#include "powerloss.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* One change at a time; recursive because rename enters two places. */
static pthread_mutex_t names_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

struct place {
    int dir;          /* O_PATH descriptor of the directory, to be closed by `leave` */
    uint64_t dir_ino; /* 0: not watched, the other fields are not set */
    uint64_t ino;     /* 0: no such name now */
    mode_t mode;
    char name[NAME_MAX + 1];
};

/* Finds where a path ends. Takes names_lock, which `leave` releases, if that is in a root. */
static struct place enter(int at, const char *path) {
    struct place place = {.dir = -1};
    char parent[PATH_MAX];
    size_t length = path ? strlen(path) : 0;
    while (length > 1 && path[length - 1] == '/') length--;
    size_t start = length;
    while (start && path[start - 1] != '/') start--;
    if (!watching || !length || length >= PATH_MAX || length - start > NAME_MAX) return place;
    memcpy(place.name, path + start, length - start);
    if (!place.name[0] || !strcmp(place.name, ".") || !strcmp(place.name, "..")) return place;
    snprintf(parent, sizeof parent, "%.*s", (int)(start ? start : 1), start ? path : ".");
    struct stat st;
    place.dir = syscall(SYS_openat, at, parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!watched(place.dir, &st)) {
        if (place.dir >= 0) close(place.dir);
        return place;
    }
    pthread_mutex_lock(&names_lock);
    place.dir_ino = st.st_ino;
    if (!fstatat(place.dir, place.name, &st, AT_SYMLINK_NOFOLLOW)) {
        place.ino = st.st_ino;
        place.mode = st.st_mode;
    }
    return place;
}

static void leave(struct place *place) {
    int error = errno;
    if (!place->dir_ino) return;
    close(place->dir);
    pthread_mutex_unlock(&names_lock);
    errno = error;
}

static uint64_t entry(const struct place *place, uint64_t new_ino) {
    struct record record = {ENTRY, 0, place->dir_ino, place->ino, new_ino, 0, 0, 0, 0};
    record.bytes = strlen(place->name);
    return append(record, place->name);
}

/* The name now leads to a new inode: journals it. */
static void created(const struct place *place) {
    struct stat st;
    if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW)) die("%s vanished", place->name);
    entry(place, st.st_ino);
}

/* Passes `result` on. */
static int cancel_if_failed(int result, uint64_t number) {
    int error = errno;
    if (result) append((struct record){.kind = CANCEL, .number = number}, NULL);
    errno = error;
    return result;
}

struct kept_name {
    char text[24];
};

static struct kept_name kept_name(uint64_t ino) {
    struct kept_name name;
    snprintf(name.text, sizeof name.text, "%" PRIu64, ino);
    return name;
}

/* Holds on to the inode of a name that is about to go. */
static void keep(const struct place *place) {
    struct kept_name kept = kept_name(place->ino);
    if (!place->ino || S_ISDIR(place->mode)) return;
    if (syscall(SYS_linkat, place->dir, place->name, kept_dir, kept.text, 0) && errno != EEXIST)
        die("cannot keep %s: errno %d", place->name, errno);
}

EXPORT int openat(int at, const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    int with_mode = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
    mode_t mode = with_mode ? va_arg(args, mode_t) : 0;
    va_end(args);
    struct place place = {.dir = -1};
    if (flags & (O_CREAT | O_TRUNC)) place = enter(at, path);
    bool truncates = place.dir_ino && (flags & O_TRUNC); /* then by ftruncate, which journals */
    int fd = syscall(SYS_openat, at, path, truncates ? flags & ~O_TRUNC : flags, mode);
    if (place.dir_ino && fd >= 0 && !place.ino) created(&place);
    leave(&place);
    if (truncates && fd >= 0 && ftruncate(fd, 0)) die("cannot truncate %s: errno %d", path, errno);
    return fd;
}
SAME_AS(openat) int openat64(int, const char *, int, ...);

EXPORT int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = va_arg(args, mode_t); /* rubbish when absent, and then not used */
    va_end(args);
    return openat(AT_FDCWD, path, flags, mode);
}
SAME_AS(open) int open64(const char *, int, ...);

EXPORT int creat(const char *path, mode_t mode) {
    return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
SAME_AS(creat) int creat64(const char *, mode_t);

EXPORT int mkdirat(int at, const char *path, mode_t mode) {
    struct place place = enter(at, path);
    int result = syscall(SYS_mkdirat, at, path, mode);
    if (place.dir_ino && !result) created(&place);
    leave(&place);
    return result;
}
EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

EXPORT int linkat(int from_at, const char *from, int at, const char *path, int flags) {
    struct place place = enter(at, path);
    uint64_t number = 0;
    if (place.dir_ino && !place.ino) {
        struct stat st;
        int follow = flags & AT_SYMLINK_FOLLOW ? 0 : O_NOFOLLOW;
        int source = (flags & AT_EMPTY_PATH) && !*from
                         ? dup(from_at)
                         : (int)syscall(SYS_openat, from_at, from, O_PATH | O_CLOEXEC | follow);
        if (source >= 0 && !watched(source, &st)) die("%s is linked in from outside", from);
        if (source >= 0) number = entry(&place, st.st_ino);
        if (source >= 0) close(source);
    }
    int result = syscall(SYS_linkat, from_at, from, at, path, flags);
    if (number) cancel_if_failed(result, number);
    leave(&place);
    return result;
}

EXPORT int link(const char *from, const char *to) {
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

static bool is_empty(const struct place *place) {
    int fd = syscall(SYS_openat, place->dir, place->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) die("cannot list %s", place->name);
    int entries = 0;
    while (readdir(dir)) entries++;
    closedir(dir);
    return entries == 2; /* . and .. */
}

EXPORT int unlinkat(int at, const char *path, int flags) {
    struct place place = enter(at, path);
    int result;
    if (!place.dir_ino || !place.ino || !S_ISDIR(place.mode) != !(flags & AT_REMOVEDIR)) {
        result = syscall(SYS_unlinkat, at, path, flags);
    } else if (!(flags & AT_REMOVEDIR)) {
        keep(&place);
        uint64_t number = entry(&place, 0);
        result = cancel_if_failed(syscall(SYS_unlinkat, at, path, flags), number);
    } else if (is_empty(&place)) {
        struct kept_name kept = kept_name(place.ino);
        uint64_t number = entry(&place, 0);
        result = syscall(SYS_renameat, place.dir, place.name, kept_dir, kept.text);
        cancel_if_failed(result, number);
    } else {
        errno = ENOTEMPTY;
        result = -1;
    }
    leave(&place);
    return result;
}
EXPORT int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
EXPORT int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

EXPORT int remove(const char *path) {
    int result = unlink(path);
    return result && errno == EISDIR ? rmdir(path) : result;
}

EXPORT int renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
    struct place source = enter(from_at, from);
    struct place target = enter(to_at, to);
    uint64_t number = 0;
    int exchange = flags & RENAME_EXCHANGE, refused = target.ino && (flags & RENAME_NOREPLACE);
    bool inside = source.dir_ino && target.dir_ino;
    if (inside && source.ino && source.ino != target.ino && !refused) {
        if (flags & RENAME_WHITEOUT) die("RENAME_WHITEOUT is not modelled");
        if (target.ino && !exchange && S_ISDIR(target.mode)) die("rename over directory %s", to);
        keep(&target);
        char names[2 * NAME_MAX + 2];
        int bytes = sprintf(names, "%s%c%s", source.name, 0, target.name);
        struct record both = {ENTRY, 0, source.dir_ino, source.ino, exchange ? target.ino : 0,
                              target.dir_ino, target.ino, source.ino, bytes};
        number = append(both, names);
    }
    int result = syscall(SYS_renameat2, from_at, from, to_at, to, flags);
    if (number) cancel_if_failed(result, number);
    if (!result && !source.dir_ino != !target.dir_ino)
        die("rename of %s to %s crosses the edge of the roots", from, to);
    leave(&target);
    leave(&source);
    return result;
}

EXPORT int renameat(int from_at, const char *from, int to_at, const char *to) {
    return renameat2(from_at, from, to_at, to, 0);
}
EXPORT int rename(const char *from, const char *to) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* ---- streams -------------------------------------------------------------------------------- */

/* A stream writes from inside libc, unseen. */
EXPORT FILE *fdopen(int fd, const char *mode) {
    struct stat st;
    if (strpbrk(mode, "wa+") && watched(fd, &st)) die("a stream writes to a watched file");
    return ((FILE * (*)(int, const char *)) dlsym(RTLD_NEXT, "fdopen"))(fd, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode) {
    struct place place = strpbrk(mode, "wa+") ? enter(AT_FDCWD, path) : (struct place){0};
    if (place.dir_ino) die("a stream writes to the watched file %s", path);
    return ((FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen"))(path, mode);
}
SAME_AS(fopen) FILE *fopen64(const char *, const char *);
