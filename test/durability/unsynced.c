/*
 * Preloaded into a server, it remembers how to take back what the server did to the files of one folder, and when a sync made
 * that lasting. After the process was killed, test/durability/unsynced.ts takes back what no sync covered, as a loss of power
 * may: the key-value store does its own I/O, so the faulty twin of the engine never sees it.
 *
 * Environment: OMEN_UNSYNCED_FOLDER (absolute, without links), OMEN_UNSYNCED_JOURNAL (folder for the record and for files that
 * lost their name), OMEN_UNSYNCED_LIE=1: syncs are not recorded, so that everything counts as lost (the negative control).
 *
 * A record is written before the change it can take back, under one lock with it: the record's order is the order of the
 * changes, and a record without its change takes back nothing. Not seen: what is written through mappings (the engine maps to
 * read only) and system calls made without libc (rustix: fallocate; tempfile: renames); such a change counts as lasting.
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
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Followed by the two paths and the old bytes. Little-endian, as the machines that run this are. */
struct record {
	char kind[8]; /* write, create, born, mkdir, rename, remove, rmdir, sync, syncdir */
	uint64_t inode;
	uint64_t offset;   /* write: of the old bytes; sync: journal length when the sync began; rename, remove: number of the saved file, or 0 */
	uint64_t old_size; /* write: of the file before */
	uint32_t path_bytes, other_bytes, old_bytes, total;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX], journal_folder[PATH_MAX];
static size_t folder_bytes;
static int journal = -1, lies;
static uint64_t saved;

__attribute__((constructor)) static void begin(void)
{
	const char *of = getenv("OMEN_UNSYNCED_FOLDER"), *to = getenv("OMEN_UNSYNCED_JOURNAL");
	char path[PATH_MAX + 16];
	if (!of || !to || strlen(of) >= PATH_MAX || strlen(to) >= PATH_MAX)
		return;
	strcpy(folder, of);
	strcpy(journal_folder, to);
	folder_bytes = strlen(folder);
	lies = getenv("OMEN_UNSYNCED_LIE") != NULL;
	snprintf(path, sizeof path, "%s/journal", journal_folder);
	journal = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether a path is in the folder. */
static int ours(const char *path)
{
	return journal >= 0 && strncmp(path, folder, folder_bytes) == 0 && path[folder_bytes] == '/';
}

/* The path of an open file; 0 when it is not in the folder or has lost its name. */
static int path_of(int fd, char *path)
{
	char link[64];
	ssize_t n;
	struct stat now;
	if (journal < 0 || fd == journal)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATH_MAX - 1);
	if (n <= 0)
		return 0;
	path[n] = 0;
	if (strcmp(path, folder) == 0)
		return 1;
	return ours(path) && lstat(path, &now) == 0;
}

/* The absolute path of a name in an open directory. */
static int resolve(int dir, const char *name, char *path)
{
	char above[PATH_MAX];
	if (name[0] == '/') {
		if (strlen(name) >= PATH_MAX)
			return 0;
		strcpy(path, name);
		return ours(path);
	}
	if (dir == AT_FDCWD || !path_of(dir, above))
		return 0;
	return snprintf(path, PATH_MAX, "%s/%s", above, name) < PATH_MAX && ours(path);
}

static void note(const char *kind, uint64_t inode, uint64_t offset, uint64_t old_size, const char *path,
		 const char *other, const char *old, uint32_t old_bytes)
{
	struct record head = {.inode = inode, .offset = offset, .old_size = old_size};
	struct iovec parts[4];
	strncpy(head.kind, kind, sizeof head.kind);
	head.path_bytes = strlen(path);
	head.other_bytes = strlen(other);
	head.old_bytes = old_bytes;
	head.total = sizeof head + head.path_bytes + head.other_bytes + old_bytes;
	parts[0] = (struct iovec){&head, sizeof head};
	parts[1] = (struct iovec){(void *)path, head.path_bytes};
	parts[2] = (struct iovec){(void *)other, head.other_bytes};
	parts[3] = (struct iovec){(void *)old, old_bytes};
	if (syscall(SYS_writev, journal, parts, 4) != (long)head.total)
		abort();
}

/* Notes what a write to, or a cut of, `length` bytes at `offset` replaces. */
static void note_write(const char *path, uint64_t offset, uint64_t length)
{
	struct stat now;
	uint64_t count = 0;
	char *old = NULL;
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (fstat(fd, &now) == 0) {
		if (offset < (uint64_t)now.st_size)
			count = (uint64_t)now.st_size - offset < length ? (uint64_t)now.st_size - offset : length;
		old = malloc(count + 1);
		if (!old || pread(fd, old, count, offset) != (ssize_t)count)
			abort();
		note("write", now.st_ino, offset, now.st_size, path, "", old, count);
		free(old);
	}
	syscall(SYS_close, fd);
}

/* Gives a file that is about to lose its name another one outside; its number, or 0 when there is none. */
static uint64_t keep(const char *path)
{
	char to[PATH_MAX + 32];
	snprintf(to, sizeof to, "%s/saved-%llu", journal_folder, (unsigned long long)(saved + 1));
	return link(path, to) == 0 ? ++saved : 0;
}

static uint64_t inode_of(const char *path)
{
	struct stat now;
	return lstat(path, &now) == 0 ? now.st_ino : 0;
}

static uint64_t where_it_writes(int fd)
{
	struct stat now;
	if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &now) == 0)
		return now.st_size;
	return lseek(fd, 0, SEEK_CUR);
}

/* Contents */

ssize_t write(int fd, const void *bytes, size_t count)
{
	char path[PATH_MAX];
	ssize_t done;
	if (!path_of(fd, path))
		return REAL(write)(fd, bytes, count);
	pthread_mutex_lock(&lock);
	note_write(path, where_it_writes(fd), count);
	done = REAL(write)(fd, bytes, count);
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
	char path[PATH_MAX];
	ssize_t done;
	size_t length = 0;
	if (!path_of(fd, path))
		return REAL(writev)(fd, parts, count);
	for (int i = 0; i < count; i++)
		length += parts[i].iov_len;
	pthread_mutex_lock(&lock);
	note_write(path, where_it_writes(fd), length);
	done = REAL(writev)(fd, parts, count);
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
	char path[PATH_MAX];
	ssize_t done;
	if (!path_of(fd, path))
		return REAL(pwrite64)(fd, bytes, count, offset);
	pthread_mutex_lock(&lock);
	note_write(path, offset, count);
	done = REAL(pwrite64)(fd, bytes, count, offset);
	pthread_mutex_unlock(&lock);
	return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	return pwrite64(fd, bytes, count, offset);
}

int ftruncate64(int fd, off64_t length)
{
	char path[PATH_MAX];
	int failed;
	if (!path_of(fd, path))
		return REAL(ftruncate64)(fd, length);
	pthread_mutex_lock(&lock);
	note_write(path, length, UINT32_MAX);
	failed = REAL(ftruncate64)(fd, length);
	pthread_mutex_unlock(&lock);
	return failed;
}

int ftruncate(int fd, off_t length)
{
	return ftruncate64(fd, length);
}

static int synced(int fd, int (*sync)(int))
{
	char path[PATH_MAX];
	struct stat now;
	uint64_t before;
	int failed;
	if (!path_of(fd, path) || fstat(fd, &now) != 0)
		return sync(fd);
	pthread_mutex_lock(&lock);
	before = lseek(journal, 0, SEEK_END);
	pthread_mutex_unlock(&lock);
	failed = sync(fd);
	if (!failed && !lies) {
		pthread_mutex_lock(&lock);
		note(S_ISDIR(now.st_mode) ? "syncdir" : "sync", now.st_ino, before, 0, path, "", "", 0);
		pthread_mutex_unlock(&lock);
	}
	return failed;
}

int fsync(int fd)
{
	return synced(fd, REAL(fsync));
}

int fdatasync(int fd)
{
	return synced(fd, REAL(fdatasync));
}

/* Names */

static int opened(int dir, const char *name, int flags, mode_t mode)
{
	char path[PATH_MAX];
	struct stat now;
	int fd, is_new = 0, creates = (flags & O_CREAT) && resolve(dir, name, path);
	/* Emptying a file by opening it is a cut. */
	int cuts = (flags & O_TRUNC) && resolve(dir, name, path);
	if (!creates && !cuts)
		return syscall(SYS_openat, dir, name, flags, mode);
	pthread_mutex_lock(&lock);
	if (creates && access(path, F_OK) != 0) {
		is_new = 1;
		note("create", 0, 0, 0, path, "", "", 0);
	} else if (cuts) {
		note_write(path, 0, UINT32_MAX);
	}
	fd = syscall(SYS_openat, dir, name, flags, mode);
	/* The file system gives numbers again: what was written to an earlier file of this one is gone with it. */
	if (is_new && fd >= 0 && fstat(fd, &now) == 0)
		note("born", now.st_ino, 0, 0, path, "", "", 0);
	pthread_mutex_unlock(&lock);
	return fd;
}

#define MODE(flags)                                                                                                   \
	mode_t mode = 0;                                                                                              \
	if (flags & (O_CREAT | O_TMPFILE)) {                                                                          \
		va_list rest;                                                                                         \
		va_start(rest, flags);                                                                                \
		mode = va_arg(rest, int);                                                                             \
		va_end(rest);                                                                                         \
	}

int open(const char *name, int flags, ...)
{
	MODE(flags)
	return opened(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
	MODE(flags)
	return opened(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

int openat(int dir, const char *name, int flags, ...)
{
	MODE(flags)
	return opened(dir, name, flags, mode);
}

int openat64(int dir, const char *name, int flags, ...)
{
	MODE(flags)
	return opened(dir, name, flags | O_LARGEFILE, mode);
}

int mkdir(const char *name, mode_t mode)
{
	char path[PATH_MAX];
	int failed;
	if (!resolve(AT_FDCWD, name, path))
		return REAL(mkdir)(name, mode);
	pthread_mutex_lock(&lock);
	if (access(path, F_OK) != 0)
		note("mkdir", 0, 0, 0, path, "", "", 0);
	failed = REAL(mkdir)(name, mode);
	pthread_mutex_unlock(&lock);
	return failed;
}

int rename(const char *from, const char *to)
{
	char path[PATH_MAX], other[PATH_MAX];
	int failed;
	if (!resolve(AT_FDCWD, from, path) || !resolve(AT_FDCWD, to, other))
		return REAL(rename)(from, to);
	pthread_mutex_lock(&lock);
	note("rename", inode_of(path), keep(other), 0, path, other, "", 0);
	failed = REAL(rename)(from, to);
	pthread_mutex_unlock(&lock);
	return failed;
}

int unlinkat(int dir, const char *name, int flags)
{
	char path[PATH_MAX];
	int failed;
	if (!resolve(dir, name, path))
		return syscall(SYS_unlinkat, dir, name, flags);
	pthread_mutex_lock(&lock);
	if (flags & AT_REMOVEDIR)
		note("rmdir", 0, 0, 0, path, "", "", 0);
	else
		note("remove", inode_of(path), keep(path), 0, path, "", "", 0);
	failed = syscall(SYS_unlinkat, dir, name, flags);
	pthread_mutex_unlock(&lock);
	return failed;
}

int unlink(const char *name)
{
	return unlinkat(AT_FDCWD, name, 0);
}

int rmdir(const char *name)
{
	return unlinkat(AT_FDCWD, name, AT_REMOVEDIR);
}
