/*
 * Plays the kernel's gadget side over a controller whose bus is suspended, for a process into which this is preloaded.
 *
 * Below $FARHAND_KERNEL lie the files that the process finds in /sys: a folder that is made there gets its attributes
 * when they are written, as in configfs. The nodes of the HID functions refuse every report as a Raspberry Pi's
 * controller does while the target sleeps: write() fails with EAGAIN and wakes whoever waits for room, of which the
 * node says that there is some. Each refusal adds a byte to the file "refused". While there is a file "awake", every
 * report is taken. What is to be answered to a host that asks for a report is added to the file "answers", by 72 bytes.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_NODES = 8 };
static int nodes[MOST_NODES];
static int node_count;

/* The next definition of a function: the C library's. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Where a path lies, in a buffer of PATH_MAX bytes. */
static const char *place(const char *path, char *buffer)
{
	const char *kernel = getenv("FARHAND_KERNEL");
	int is_ours = !strncmp(path, "/sys/kernel/config", 18) || !strncmp(path, "/sys/class/udc", 14);
	if (!kernel || !is_ours)
		return path;
	snprintf(buffer, 4096, "%s%s", kernel, path);
	return buffer;
}

static int open_any(int at, const char *path, int flags, mode_t mode)
{
	char buffer[4096];
	const char *there = place(path, buffer);
	if (!strncmp(path, "/dev/hidg", 9)) {
		int node = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (node >= 0 && node_count < MOST_NODES)
			nodes[node_count++] = node;
		return node;
	}
	/* In configfs an attribute is there before it is written. */
	if (there != path && (flags & O_ACCMODE) != O_RDONLY) {
		flags |= O_CREAT | O_TRUNC;
		mode = 0644;
	}
	return REAL(openat)(at, there, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	va_list rest;
	va_start(rest, flags);
	mode_t mode = va_arg(rest, mode_t);
	va_end(rest);
	return open_any(AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));

int mkdir(const char *path, mode_t mode)
{
	char buffer[4096], inner[4160];
	const char *there = place(path, buffer);
	int made = REAL(mkdir)(there, mode);
	if (made || there == path)
		return made;
	/* The folders that configfs makes by itself, and the number of a function's node: that of an eventfd. */
	const char *folders[] = {"strings", "functions", "configs"};
	for (int at = 0; at < 3; at++) {
		snprintf(inner, sizeof inner, "%s/%s", there, folders[at]);
		REAL(mkdir)(inner, 0755);
	}
	snprintf(inner, sizeof inner, "%s/dev", there);
	int file = REAL(openat)(AT_FDCWD, inner, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
	if (file >= 0) {
		if (REAL(write)(file, "0:0\n", 4) != 4)
			abort();
		close(file);
	}
	return 0;
}

int symlink(const char *to, const char *at)
{
	char buffer[4096];
	return REAL(symlink)(to, place(at, buffer));
}

DIR *opendir(const char *path)
{
	char buffer[4096];
	return REAL(opendir)(place(path, buffer));
}

int statx(int at, const char *restrict path, int flags, unsigned int mask, struct statx *restrict result)
{
	char buffer[4096];
	return REAL(statx)(at, place(path, buffer), flags, mask, result);
}

static int is_node(int file)
{
	for (int at = 0; at < node_count; at++)
		if (nodes[at] == file)
			return 1;
	return 0;
}

/* Adds to a file that the test reads. */
static void add(const char *name, const void *bytes, ssize_t length)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", getenv("FARHAND_KERNEL"), name);
	int file = REAL(openat)(AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0644);
	if (file < 0 || REAL(write)(file, bytes, length) != length)
		abort();
	close(file);
}

ssize_t write(int file, const void *bytes, size_t length)
{
	char awake[4096];
	if (!is_node(file))
		return REAL(write)(file, bytes, length);
	snprintf(awake, sizeof awake, "%s/awake", getenv("FARHAND_KERNEL"));
	if (!access(awake, F_OK))
		return length;
	unsigned long long nothing = 0;
	add("refused", ".", 1);
	if (REAL(write)(file, &nothing, sizeof nothing) < 0)
		abort();
	errno = EAGAIN;
	return -1;
}

int ioctl(int file, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	void *argument = va_arg(rest, void *);
	va_end(rest);
	/* GADGET_HID_WRITE_GET_REPORT */
	if (!is_node(file) || request != 0x40486742)
		return REAL(ioctl)(file, request, argument);
	add("answers", argument, 72);
	return 0;
}
