/* The journal, and the calls that change or sync the content of files; see powerloss.h. */
#include "powerloss.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(long) == 8, "a 64-bit file offset is one argument of a system call");

enum { ROOTS_MAX = 16, LOCKS = 64, SAVE_BYTES_MAX = 65536 };

static char roots[ROOTS_MAX][PATH_MAX];
static int root_count;
bool watching;
int kept_dir = -1;
static int journal_dir = -1, journal = -1;
static pid_t journal_owner;
static uint64_t last_number;
static pthread_mutex_t journal_lock = PTHREAD_MUTEX_INITIALIZER; /* innermost */
static pthread_mutex_t inode_locks[LOCKS] = {[0 ... LOCKS - 1] = PTHREAD_MUTEX_INITIALIZER};

/* ---- start, failure ------------------------------------------------------------------------- */

void die(const char *format, ...) {
    char text[2 * PATH_MAX] = "powerloss: ";
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - used - 1, format, args);
    va_end(args);
    strcat(text, "\n");
    int fd = syscall(SYS_openat, journal_dir, "failed", O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, fd, text, strlen(text));
    syscall(SYS_write, STDERR_FILENO, text, strlen(text));
    abort();
}

__attribute__((constructor)) static void start(void) {
    const char *root = getenv("POWERLOSS_ROOT"), *dir = getenv("POWERLOSS_JOURNAL");
    if (!root || !dir) return;
    journal_dir = syscall(SYS_openat, AT_FDCWD, dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    kept_dir = syscall(SYS_openat, journal_dir, "kept", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat kept_stat, root_stat;
    if (kept_dir < 0 || fstat(kept_dir, &kept_stat)) die("no directory %s/kept", dir);
    while (*root) {
        size_t length = strcspn(root, ":");
        if (root_count == ROOTS_MAX || length >= PATH_MAX) die("too many or too long roots");
        memcpy(roots[root_count], root, length);
        if (stat(roots[root_count], &root_stat) || root_stat.st_dev != kept_stat.st_dev)
            die("root %s is missing or on another file system than %s", roots[root_count], dir);
        root_count++;
        root += length + (root[length] == ':');
    }
    watching = root_count > 0;
}

/* ---- the journal ---------------------------------------------------------------------------- */

uint64_t append(struct record record, const void *payload) {
    pthread_mutex_lock(&journal_lock);
    if (journal < 0) {
        journal = syscall(SYS_openat, journal_dir, "journal",
                          O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
        if (journal < 0) die("no journal, or that of another process: errno %d", errno);
        journal_owner = getpid();
    }
    if (getpid() != journal_owner) die("a forked process changes watched files");
    if (record.kind != DURABLE && record.kind != CANCEL) record.number = ++last_number;
    struct iovec parts[2] = {{&record, sizeof record}, {(void *)payload, record.bytes}};
    ssize_t length = sizeof record + record.bytes;
    if (syscall(SYS_writev, journal, parts, 2) != length) die("journal: errno %d", errno);
    pthread_mutex_unlock(&journal_lock);
    return record.number;
}

static uint64_t newest_number(void) {
    pthread_mutex_lock(&journal_lock);
    uint64_t number = last_number;
    pthread_mutex_unlock(&journal_lock);
    return number;
}

/* ---- what is watched ------------------------------------------------------------------------ */

bool watched(int fd, struct stat *st) {
    char link[64], path[PATH_MAX];
    if (!watching || fd < 0 || fstat(fd, st)) return 0;
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) die("cannot read %s", link);
    path[length] = 0;
    for (int i = 0; i < root_count; i++) {
        size_t root = strlen(roots[i]);
        if (!strncmp(path, roots[i], root) && (path[root] == '/' || !path[root])) return 1;
    }
    return 0;
}

static pthread_mutex_t *lock_of(const struct stat *st) { return &inode_locks[st->st_ino % LOCKS]; }

/* As `watched`, for a regular file; if so its lock is held and `st` is current. */
static bool lock_watched_file(int fd, struct stat *st) {
    if (!watched(fd, st) || !S_ISREG(st->st_mode)) return 0;
    pthread_mutex_lock(lock_of(st));
    if (fstat(fd, st)) die("fstat failed under the lock");
    return 1;
}

/* ---- changes of content --------------------------------------------------------------------- */

/* Saves the bytes from `from` to `to`; holes need no saving, the reader zeroes what it undoes. */
static void save(int fd, const struct stat *st, off_t from, off_t to) {
    if (to > st->st_size) to = st->st_size;
    if (from >= to) return;
    char link[64], bytes[SAVE_BYTES_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd); /* fd itself may be write-only */
    int reader = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC);
    if (reader < 0) die("cannot read what is overwritten: errno %d", errno);
    while (from < to && (from = lseek(reader, from, SEEK_DATA)) >= 0 && from < to) {
        off_t end = lseek(reader, from, SEEK_HOLE);
        if (end > to) end = to;
        if (end - from > SAVE_BYTES_MAX) end = from + SAVE_BYTES_MAX;
        if (pread(reader, bytes, end - from, from) != end - from) die("short read of old bytes");
        struct record saved = {.kind = SAVE, .a = st->st_ino, .b = from, .bytes = end - from};
        append(saved, bytes);
        from = end;
    }
    close(reader);
}

static void will_write(int fd, const struct stat *st, off_t offset, off_t length) {
    save(fd, st, offset, offset + length);
    struct record write = {WRITE, 0, st->st_ino, offset, length, st->st_size, 0, 0, 0};
    append(write, NULL);
}

static void will_resize(int fd, const struct stat *st, off_t size) {
    save(fd, st, size, st->st_size);
    append((struct record){RESIZE, 0, st->st_ino, size, 0, st->st_size, 0, 0, 0}, NULL);
}

/* Every write ends here. `offset` -1 is the file position; pwritev2 knows it too. */
static ssize_t write_at(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    struct stat st;
    bool locked = lock_watched_file(fd, &st);
    if (locked) {
        int open_flags = fcntl(fd, F_GETFL);
        if ((open_flags & (O_SYNC | O_DSYNC)) || (flags & (RWF_SYNC | RWF_DSYNC)))
            die("O_SYNC, O_DSYNC and RWF_*SYNC are not modelled: use fdatasync");
        off_t start = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR), length = 0;
        if ((open_flags & O_APPEND) || (flags & RWF_APPEND)) start = st.st_size;
        for (int i = 0; i < count; i++) length += parts[i].iov_len;
        if (length) will_write(fd, &st, start, length);
    }
    ssize_t written = syscall(SYS_pwritev2, fd, parts, count, offset, 0, flags);
    if (locked) pthread_mutex_unlock(lock_of(&st));
    return written;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t length) {
    return write_at(fd, &(struct iovec){(void *)bytes, length}, 1, -1, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
    return write_at(fd, parts, count, -1, 0);
}

EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    if (offset >= 0) return write_at(fd, parts, count, offset, 0);
    errno = EINVAL;
    return -1;
}
SAME_AS(pwritev) ssize_t pwritev64(int, const struct iovec *, int, off64_t);

EXPORT ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return pwritev(fd, &(struct iovec){(void *)bytes, length}, 1, offset);
}
SAME_AS(pwrite) ssize_t pwrite64(int, const void *, size_t, off64_t);

EXPORT ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    return write_at(fd, parts, count, offset, flags);
}
SAME_AS(pwritev2) ssize_t pwritev64v2(int, const struct iovec *, int, off64_t, int);

EXPORT int ftruncate(int fd, off_t size) {
    struct stat st;
    bool locked = size >= 0 && lock_watched_file(fd, &st);
    if (locked && size != st.st_size) will_resize(fd, &st, size);
    int result = syscall(SYS_ftruncate, fd, size);
    if (locked) pthread_mutex_unlock(lock_of(&st));
    return result;
}
SAME_AS(ftruncate) int ftruncate64(int, off64_t);

EXPORT int truncate(const char *path, off_t size) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = ftruncate(fd, size);
    close(fd);
    return result;
}
SAME_AS(truncate) int truncate64(const char *, off64_t);

EXPORT int fallocate(int fd, int mode, off_t offset, off_t length) {
    struct stat st;
    bool locked = offset >= 0 && length > 0 && lock_watched_file(fd, &st);
    if (locked) {
        int zeroes = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
        off_t end = offset + length;
        if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
            die("fallocate mode %d is not modelled", mode);
        if (zeroes && offset < st.st_size)
            will_write(fd, &st, offset, (end < st.st_size ? end : st.st_size) - offset);
        if (!(mode & FALLOC_FL_KEEP_SIZE) && end > st.st_size) will_resize(fd, &st, end);
    }
    int result = syscall(SYS_fallocate, fd, mode, offset, length);
    if (locked) pthread_mutex_unlock(lock_of(&st));
    return result;
}
SAME_AS(fallocate) int fallocate64(int, int, off64_t, off64_t);

EXPORT int posix_fallocate(int fd, off_t offset, off_t length) {
    return fallocate(fd, 0, offset, length) ? errno : 0;
}
SAME_AS(posix_fallocate) int posix_fallocate64(int, off64_t, off64_t);

/* Copies inside the kernel have no journal: callers fall back to write, which has. */
static bool refused(int fd) {
    struct stat st;
    if (!watched(fd, &st)) return 0;
    errno = ENOSYS;
    return 1;
}

EXPORT ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length,
                               unsigned flags) {
    return refused(out) ? -1 : syscall(SYS_copy_file_range, in, from, out, to, length, flags);
}

EXPORT ssize_t sendfile(int out, int in, off_t *offset, size_t length) {
    return refused(out) ? -1 : syscall(SYS_sendfile, out, in, offset, length);
}
SAME_AS(sendfile) ssize_t sendfile64(int, int, off64_t *, size_t);

EXPORT ssize_t splice(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    return refused(out) ? -1 : syscall(SYS_splice, in, from, out, to, length, flags);
}

EXPORT void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    struct stat st;
    if ((protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE && watched(fd, &st))
        die("a watched file is mapped shared and writable");
    return (void *)syscall(SYS_mmap, at, length, protection, flags, fd, offset);
}
SAME_AS(mmap) void *mmap64(void *, size_t, int, int, int, off64_t);

/* ---- durability ----------------------------------------------------------------------------- */

static int sync_one(long call, int fd) {
    struct stat st;
    if (!watched(fd, &st)) return syscall(call, fd);
    pthread_mutex_lock(lock_of(&st)); /* no numbered change of this inode is under way now */
    uint64_t number = newest_number();
    pthread_mutex_unlock(lock_of(&st));
    int result = syscall(call, fd);
    if (!result) append((struct record){.kind = DURABLE, .number = number, .a = st.st_ino}, NULL);
    return result;
}

EXPORT int fsync(int fd) { return sync_one(SYS_fsync, fd); }
EXPORT int fdatasync(int fd) { return sync_one(SYS_fdatasync, fd); }

