/* Records what a program does to the files of one directory, so that tests can rebuild what a power cut leaves of them.
 *
 * LD_PRELOAD it, with POWER_DIRECTORY (absolute, watched with everything below it) and POWER_LOG (appended to, outside
 * of the directory). Every call is made and written down under one lock, so the log's order is what really happened.
 * tests/power/recording.py reads the log; its record is `struct record`, then the path, then the data.
 *
 * Nothing here is synced for real: the program is not the one that loses its power. POWER_SWALLOW=1 answers fsync with
 * success and writes nothing down, like a disk that lies. Files ending in -shm are exempt: SQLite builds them anew.
 *
 * The program finds three functions of ours with dlsym: power_mark, power_fail and power_faults_given.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { MARK = 'M', OPEN = 'O', CREATE = 'C', WRITE = 'W', TRUNCATE = 'T', SYNC = 'S', SYNC_FAILED = 'F',
            SYNC_DIRECTORY = 'D', RENAME = 'R', UNLINK = 'U' };

struct record {
    uint8_t kind;
    uint8_t unused[3];
    uint32_t path_bytes;
    uint32_t data_bytes;
    uint32_t unused_too;
    uint64_t file;    /* inode */
    int64_t offset;   /* of a write; the new size of a truncation */
};

enum { FILES_MAX = 4096, UNTRACKED = 0, FILE_TRACKED = 1, DIRECTORY_TRACKED = 2 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char directory[PATH_MAX];
static size_t directory_bytes;
static int log_fd = -1;
static int swallow;
static uint8_t tracked[FILES_MAX];
static char paths[FILES_MAX][256];   /* what an injected fault is matched with */

/* One fault at a time: calls of `kind` on paths ending in `suffix` fail with `error`, after `skip` of them, `count` times. */
static struct { int kind; char suffix[64]; long skip, count, given; int error; } fault;

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void start(void)
{
    const char *watched = getenv("POWER_DIRECTORY"), *log = getenv("POWER_LOG"), *lies = getenv("POWER_SWALLOW");
    if (watched == NULL || log == NULL || realpath(watched, directory) == NULL)
        return;
    directory_bytes = strlen(directory);
    swallow = lies != NULL && *lies == '1';
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0)
        abort();
}

static void put(const void *bytes, size_t count)
{
    const char *next = bytes;
    while (count > 0) {
        ssize_t done = REAL(write)(log_fd, next, count);
        if (done <= 0)
            abort();   /* half a log would be taken for the truth */
        next += done;
        count -= (size_t)done;
    }
}

static void note(enum kind kind, uint64_t file, int64_t offset, const char *path, const void *data, size_t count)
{
    struct record head = { .kind = kind, .path_bytes = (uint32_t)strlen(path), .data_bytes = (uint32_t)count,
                           .file = file, .offset = offset };
    put(&head, sizeof head);
    put(path, head.path_bytes);
    put(data, count);
}

static uint64_t inode_of(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 ? found.st_ino : 0;
}

static int ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text), end_bytes = strlen(end);
    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* The path relative to the watched directory ("" for itself), or NULL when it is none of ours. */
static const char *ours(const char *path)
{
    static char absolute[PATH_MAX + 256];
    if (log_fd < 0)
        return NULL;
    if (path[0] != '/') {
        if (getcwd(absolute, PATH_MAX) == NULL)
            return NULL;
        strcat(absolute, "/");
        strncat(absolute, path, 254);
        path = absolute;
    }
    if (strncmp(path, directory, directory_bytes) != 0 || ends_with(path, "-shm"))
        return NULL;
    path += directory_bytes;
    return *path == '/' ? path + 1 : *path == '\0' ? path : NULL;
}

static int is_ours(int fd)
{
    return fd >= 0 && fd < FILES_MAX && tracked[fd] == FILE_TRACKED;
}

/* Whether this call is to fail; then errno is set. */
static int fails(enum kind kind, int fd)
{
    if (fault.kind != (int)kind || fault.count == 0 || !ends_with(paths[fd], fault.suffix))
        return 0;
    if (fault.skip-- > 0)
        return 0;
    fault.skip = 0;
    if (fault.count > 0)
        fault.count--;
    fault.given++;
    errno = fault.error;
    return 1;
}

/* --- for the program ------------------------------------------------------------------------------------------- */

void power_mark(const char *text, size_t count)
{
    pthread_mutex_lock(&lock);
    note(MARK, 0, 0, "", text, count);
    pthread_mutex_unlock(&lock);
}

/* `kind` is 'S' or 'W'; `count` < 0 fails until the next power_fail, 0 ends a fault. */
void power_fail(int kind, const char *suffix, long skip, long count, int error)
{
    pthread_mutex_lock(&lock);
    fault.kind = kind;
    snprintf(fault.suffix, sizeof fault.suffix, "%s", suffix);
    fault.skip = skip;
    fault.count = count;
    fault.given = 0;
    fault.error = error;
    pthread_mutex_unlock(&lock);
}

/* How many calls have failed for the last power_fail. */
long power_faults_given(void)
{
    return fault.given;
}

/* --- opening and closing ---------------------------------------------------------------------------------------- */

static int opened(int fd, const char *path, int flags, int is_new)
{
    struct stat found;
    if (fd < 0 || fd >= FILES_MAX || fstat(fd, &found) != 0)
        return fd;
    tracked[fd] = S_ISDIR(found.st_mode) ? DIRECTORY_TRACKED : FILE_TRACKED;
    snprintf(paths[fd], sizeof paths[fd], "%s", path);
    if (tracked[fd] == FILE_TRACKED)
        note(is_new ? CREATE : OPEN, found.st_ino, 0, path, "", 0);
    if (!is_new && flags & O_TRUNC)
        note(TRUNCATE, found.st_ino, 0, "", "", 0);
    return fd;
}

static int open_with(const char *name, const char *path, int flags, mode_t mode)
{
    int (*next)(const char *, int, ...) = real(name);
    pthread_mutex_lock(&lock);
    const char *relative = ours(path);
    int is_new = relative != NULL && flags & O_CREAT && access(path, F_OK) != 0;
    int fd = next(path, flags, mode);
    if (relative != NULL)
        opened(fd, relative, flags, is_new);
    pthread_mutex_unlock(&lock);
    return fd;
}

static int open_at(const char *name, int at, const char *path, int flags, mode_t mode)
{
    int (*next)(int, const char *, int, ...) = real(name);
    if (at == AT_FDCWD || path[0] == '/')
        return open_with("open64", path, flags, mode);
    return next(at, path, flags, mode);
}

#define MODE(flags) mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE(flags) return open_with("open", path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_with("open64", path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return open_at("openat", at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return open_at("openat64", at, path, flags, mode); }

int close(int fd)
{
    pthread_mutex_lock(&lock);
    if (fd >= 0 && fd < FILES_MAX)
        tracked[fd] = UNTRACKED;
    int result = REAL(close)(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

/* A disk without room takes half of the first write, as a file system does, and refuses the rest. */
static ssize_t write_at(int fd, const void *data, size_t count, off64_t offset)
{
    if (fails(WRITE, fd)) {
        static int half_taken;
        half_taken = fault.error == ENOSPC && !half_taken && count >= 1024;
        if (!half_taken)
            return -1;
        count /= 2;
    }
    ssize_t done = REAL(pwrite64)(fd, data, count, offset);
    if (done > 0)
        note(WRITE, inode_of(fd), offset, "", data, (size_t)done);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t count, off64_t offset)
{
    if (!is_ours(fd))
        return REAL(pwrite64)(fd, data, count, offset);
    pthread_mutex_lock(&lock);
    ssize_t done = write_at(fd, data, count, offset);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t count, off_t offset)
{
    return pwrite64(fd, data, count, offset);
}

ssize_t write(int fd, const void *data, size_t count)
{
    if (!is_ours(fd))
        return REAL(write)(fd, data, count);
    pthread_mutex_lock(&lock);
    off64_t offset = fcntl(fd, F_GETFL) & O_APPEND ? lseek64(fd, 0, SEEK_END) : lseek64(fd, 0, SEEK_CUR);
    ssize_t done = write_at(fd, data, count, offset);
    if (done > 0)
        lseek64(fd, offset + done, SEEK_SET);
    pthread_mutex_unlock(&lock);
    return done;
}

static ssize_t write_parts(int fd, const struct iovec *parts, int count, off64_t offset)
{
    ssize_t total = 0;
    for (int index = 0; index < count; index++) {
        ssize_t done = offset < 0 ? write(fd, parts[index].iov_base, parts[index].iov_len)
                                  : pwrite64(fd, parts[index].iov_base, parts[index].iov_len, offset + total);
        if (done < 0)
            return total > 0 ? total : -1;
        total += done;
        if ((size_t)done < parts[index].iov_len)
            break;
    }
    return total;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return is_ours(fd) ? write_parts(fd, parts, count, -1) : REAL(writev)(fd, parts, count);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    return is_ours(fd) ? write_parts(fd, parts, count, offset) : REAL(pwritev64)(fd, parts, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return pwritev64(fd, parts, count, offset);
}

int ftruncate64(int fd, off64_t size)
{
    if (!is_ours(fd))
        return REAL(ftruncate64)(fd, size);
    pthread_mutex_lock(&lock);
    int result = REAL(ftruncate64)(fd, size);
    if (result == 0)
        note(TRUNCATE, inode_of(fd), size, "", "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

/* --- syncing ------------------------------------------------------------------------------------------------------ */

static int sync_of(int fd)
{
    if (fails(SYNC, fd)) {
        note(SYNC_FAILED, inode_of(fd), 0, "", "", 0);
        return -1;
    }
    if (!swallow)
        note(tracked[fd] == DIRECTORY_TRACKED ? SYNC_DIRECTORY : SYNC, inode_of(fd), 0, paths[fd], "", 0);
    return 0;
}

static int sync_with(const char *name, int fd)
{
    int (*next)(int) = real(name);
    if (fd < 0 || fd >= FILES_MAX || tracked[fd] == UNTRACKED)
        return next(fd);
    pthread_mutex_lock(&lock);
    int result = sync_of(fd);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd) { return sync_with("fsync", fd); }
int fdatasync(int fd) { return sync_with("fdatasync", fd); }

/* --- names -------------------------------------------------------------------------------------------------------- */

int rename(const char *from, const char *to)
{
    pthread_mutex_lock(&lock);
    char old[PATH_MAX];
    const char *relative = ours(from);
    if (relative != NULL)
        snprintf(old, sizeof old, "%s", relative);
    int result = REAL(rename)(from, to);
    if (result == 0 && relative != NULL) {
        const char *new = ours(to);
        note(RENAME, 0, 0, old, new != NULL ? new : "", new != NULL ? strlen(new) : 0);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int unlink(const char *path)
{
    pthread_mutex_lock(&lock);
    const char *relative = ours(path);
    int result = REAL(unlink)(path);
    if (result == 0 && relative != NULL)
        note(UNLINK, 0, 0, relative, "", 0);
    pthread_mutex_unlock(&lock);
    return result;
}
