/* What tests/powerloss_selftest.rs expects the power-loss library to refuse or to notice. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **args) {
    const char *which = count > 1 ? args[1] : "";
    int fd = open("a", O_RDWR | O_CREAT, 0600);
    if (fd < 0 || write(fd, "0123456789", 10) != 10 || fsync(fd)) return 1;
    if (!strcmp(which, "mapping")) return mmap(0, 10, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED;
    if (!strcmp(which, "dsync")) return write(open("a", O_WRONLY | O_DSYNC), "x", 1) != 1;
    if (!strcmp(which, "stream")) return !fopen("b", "w");
    if (!strcmp(which, "fork")) {
        int status;
        if (!fork()) return write(fd, "x", 1) != 1;
        return wait(&status) > 0 && WIFSIGNALED(status) ? raise(WTERMSIG(status)) : 1;
    }
    if (!strcmp(which, "rename-in") || !strcmp(which, "link-in")) {
        if (close(open("../outside", O_WRONLY | O_CREAT, 0600))) return 1;
        return *which == 'r' ? rename("../outside", "b") : link("../outside", "b");
    }
    if (!strcmp(which, "raw")) return syscall(SYS_pwrite64, fd, "x", 1L, 10L) != 1;
    if (!strcmp(which, "tmpfile")) {
        char path[64];
        int unnamed = open(".", O_TMPFILE | O_RDWR, 0600);
        sprintf(path, "/proc/self/fd/%d", unnamed);
        if (write(unnamed, "x", 1) != 1 || fsync(unnamed)) return 1;
        return linkat(AT_FDCWD, path, AT_FDCWD, "b", AT_SYMLINK_FOLLOW);
    }
    return 2;
}
