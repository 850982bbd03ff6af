/* Clocks that are off and disks that are slow, as seen by one process: an LD_PRELOAD library.
 *
 *   CHAOS_CONTROL   file of three little-endian i64: by how many nanoseconds the wall clock is off, how many
 *                   milliseconds reads and syncs of a disk take longer, and which disk; it may change at any
 *                   time
 *   CHAOS_DISKS     the directories of the disks, separated by colons
 *
 * The clock is the one of clock_gettime, gettimeofday and time; waits until a time of day are moved with it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { DISKS_MAX = 16 };
static const int64_t SECOND_NS = 1000000000;

static const volatile int64_t *control;
static char *disks[DISKS_MAX];
static int (*next_clock_gettime)(clockid_t, struct timespec *);
static int (*next_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*next_fsync)(int), (*next_fdatasync)(int);
static ssize_t (*next_pread)(int, void *, size_t, off_t);

__attribute__((constructor)) static void start(void) {
    next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    next_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    next_fsync = dlsym(RTLD_NEXT, "fsync");
    next_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    next_pread = dlsym(RTLD_NEXT, "pread64");
    const char *path = getenv("CHAOS_CONTROL"), *list = getenv("CHAOS_DISKS");
    if (!path || !list) return;
    char *names = strdup(list);
    for (int n = 0; names && n < DISKS_MAX; n++) disks[n] = strsep(&names, ":");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, 3 * sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) control = mapped;
    close(fd);
}

/* ---- the clock ------------------------------------------------------------------------------ */

static void move(struct timespec *time, int64_t by_ns) {
    int64_t ns = time->tv_sec * SECOND_NS + time->tv_nsec + by_ns;
    time->tv_sec = ns / SECOND_NS;
    time->tv_nsec = ns % SECOND_NS;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    if (!next_clock_gettime) next_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next_clock_gettime(id, time);
    if (result == 0 && control && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        move(time, control[0]);
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    struct timespec precise;
    if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
    time->tv_sec = precise.tv_sec;
    time->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (out) *out = precise.tv_sec;
    return precise.tv_sec;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    struct timespec real = *until;
    if (control) move(&real, -control[0]);
    return next_timedwait(condition, mutex, &real);
}

/* ---- the disks ------------------------------------------------------------------------------ */

static void wait_for_disk(int fd) {
    int64_t slow_ms = control ? control[1] : 0;
    if (slow_ms <= 0) return;
    int64_t number = control[2];
    if (number < 0 || number >= DISKS_MAX || !disks[number]) return;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    size_t prefix = strlen(disks[number]);
    if (length < (ssize_t)prefix || strncmp(path, disks[number], prefix)) return;
    usleep(slow_ms * 1000);
}

int fsync(int fd) {
    wait_for_disk(fd);
    return next_fsync(fd);
}

int fdatasync(int fd) {
    wait_for_disk(fd);
    return next_fdatasync(fd);
}

ssize_t pread64(int fd, void *into, size_t bytes, off_t at) {
    wait_for_disk(fd);
    return next_pread(fd, into, bytes, at);
}

ssize_t pread(int fd, void *into, size_t bytes, off_t at) { return pread64(fd, into, bytes, at); }
