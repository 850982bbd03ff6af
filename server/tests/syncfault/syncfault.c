/* Syncs that go wrong, as seen by one process: an LD_PRELOAD library for fsync and fdatasync.
 *
 *   SYNCFAULT_LIE   glob of paths whose syncs succeed without being done: what a program would do
 *                   that acknowledges before it syncs. To be loaded before powerloss.so, which then
 *                   sees no sync.
 *   SYNCFAULT_FAIL  glob of paths whose syncs fail with EIO while the file SYNCFAULT_TRIGGER exists
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int matches(int fd, const char *variable) {
    const char *glob = getenv(variable);
    char link[64], path[PATH_MAX];
    if (!glob) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return !fnmatch(glob, path, 0);
}

static int sync_with_fault(const char *name, int fd) {
    if (matches(fd, "SYNCFAULT_LIE")) return 0;
    const char *trigger = getenv("SYNCFAULT_TRIGGER");
    if (trigger && !access(trigger, F_OK) && matches(fd, "SYNCFAULT_FAIL")) {
        errno = EIO;
        return -1;
    }
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    return next(fd);
}

int fsync(int fd) { return sync_with_fault("fsync", fd); }
int fdatasync(int fd) { return sync_with_fault("fdatasync", fd); }
