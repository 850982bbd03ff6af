/* Power loss, as seen by one process: an LD_PRELOAD library that journals every change to watched
 * files and directories which a power cut could still undo.
 *
 * kill -9 leaves the page cache, so it proves nothing about fsync. This library writes an *undo
 * journal* (with plain writes, which survive the kill); after the kill `powerloss.rs`
 * reads it and takes back, in whole or in part, what no fsync had covered.
 *
 *   POWERLOSS_ROOT     canonical directories to watch, separated by colons
 *   POWERLOSS_JOURNAL  directory for the journal, outside the roots, on the same file system
 *
 * Journal file `journal`: records of nine little-endian u64 and a payload of `bytes` bytes.
 *
 *   kind      number  a      b         c        d         e         f         payload
 *   1 SAVE    n       inode  offset    -        -         -         -         the old bytes there
 *   2 WRITE   n       inode  offset    length   old size  -         -
 *   3 RESIZE  n       inode  new size  -        old size  -         -
 *   4 ENTRY   n       dir    old ino   new ino  dir 2     old ino2  new ino2  name [\0 name 2]
 *   5 CANCEL  n       -      the operation of ENTRY n failed
 *   6 DURABLE n       inode or directory: its records up to number n are durable now
 *
 * In ENTRY inode 0 means "no such name"; dir 2 is 0 unless two names change at once (rename).
 *
 * What makes the journal exact:
 *  - The records of a content change precede the change; one lock per inode is held over both, so
 *    the records of an inode stand in the order of its changes, and the number that fsync takes
 *    under this lock covers finished changes only.
 *  - ENTRY precedes rename, unlink, rmdir and link. The inode of a created file is known only
 *    afterwards, so there it follows; killed in between, the creation counts as durable, which is
 *    a legal end of a call that never returned.
 *  - Unlinked and replaced inodes keep a hard link in `kept/`, removed directories are moved there.
 *    Hence a watched inode number is never reused.
 *  - Nothing is remembered per descriptor: each call asks /proc/self/fd where its descriptor
 *    leads. So dup, passed descriptors and closes inside libc need no care.
 *
 * What it cannot follow ends the process, with a message on stderr and in the file `failed`. Raw
 * system calls it cannot see, but the reader finds files longer than the journal explains.
 * sync, syncfs, sync_file_range and msync make nothing durable here; symbolic links are durable.
 */
#ifndef POWERLOSS_H
#define POWERLOSS_H
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { SAVE = 1, WRITE, RESIZE, ENTRY, CANCEL, DURABLE };

struct record {
    uint64_t kind, number, a, b, c, d, e, f, bytes;
};

/* Functions without EXPORT are hidden (-fvisibility=hidden): they are this library's own. */
#define EXPORT __attribute__((visibility("default")))
#define SAME_AS(name) EXPORT __attribute__((alias(#name)))

/* Ends the process with a message: a test must not go on with a journal that is not exact. */
void die(const char *format, ...);

/* False without the two variables: then every call is passed through. */
extern bool watching;

/* Descriptor of `kept/`. */
extern int kept_dir;

/* Whether the descriptor is a file or directory in a root; fills `st`. */
bool watched(int fd, struct stat *st);

/* Appends one record and gives its number; DURABLE and CANCEL carry the number they speak of. */
uint64_t append(struct record record, const void *payload);

#endif
