/*
 * Two capture dongles with bad habits, in place of the kernel's, in any process that calls the C library.
 *
 * dongle.rs preloads this into the daemon, and says by a file that both map what is plugged in, what it offers, what it
 * refuses, and byte for byte what it sends. The daemon's descriptor of a device is the reading end of a pipe, in which
 * a byte is a buffer that has been filled: so select, poll and epoll take it to be readable exactly when there is a
 * picture, and to hang up when the plug is pulled.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <linux/videodev2.h>

#define DONGLES 2
#define MOST_OFFERS 16
#define MOST_PICTURES 32
#define MOST_BUFFERS 32
/* How often one may be opened before the list of descriptors starts over. */
#define MOST_SESSIONS 256

/* dongle.rs has the same structures. */
struct dongle {
	/* What it is told to do. */
	_Atomic uint32_t plugged, number, busy, silent, hangs, frames_per_second, buffer_bytes;
	/* STREAMON fails so in a size of more pixels than are allowed. */
	_Atomic uint32_t refusal, allowed_pixels;
	/* STREAMOFF fails so. */
	_Atomic uint32_t off_refusal;
	_Atomic uint32_t colorspace, encoding, quantization;
	_Atomic uint32_t offers;
	struct {
		_Atomic uint32_t fourcc, width, height, frames_per_second;
	} offer[MOST_OFFERS];
	_Atomic uint32_t pictures;
	struct {
		_Atomic uint32_t place, bytes, bytes_used, damaged;
	} picture[MOST_PICTURES];
	/* What has become of it. */
	_Atomic uint32_t opened, started, emptied, sent;
	/* How many times STREAMON still fails; always, if zero. */
	_Atomic uint32_t refusals;
};

_Static_assert(sizeof(struct dongle) == 212 * 4, "dongle.rs counts the same words");

struct control {
	struct dongle dongle[DONGLES];
};

struct state {
	struct dongle *told;
	pthread_mutex_t lock;
	/* Grows with each opening and unplugging; descriptors of another session are dead. */
	unsigned session;
	/* Who holds the queue, as long as there are buffers: what maps one keeps its file, and with it the queue. */
	unsigned owner;
	int running, open, offer, memory;
	char *buffers;
	size_t buffer_bytes;
	uint32_t count, waiting, on, sequence, chosen;
	unsigned char queue[MOST_BUFFERS];
	struct {
		uint32_t bytes, sequence, damaged;
		uint64_t completed_ns;
	} filled[MOST_BUFFERS];
};

static struct control *control;
static char folder[256];
static struct state states[DONGLES];
static struct {
	ino_t inode;
	struct state *state;
	unsigned session;
} sessions[MOST_SESSIONS];
static _Atomic unsigned session_count;

__attribute__((constructor)) static void attach(void)
{
	const char *path = getenv("FARHAND_DONGLE");
	struct stat stat;

	if (!path)
		return;
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &stat))
		return;
	void *place = (void *)syscall(SYS_mmap, NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (place == MAP_FAILED)
		return;
	snprintf(folder, sizeof folder, "%s", path);
	*strrchr(folder, '/') = 0;
	control = place;
	for (int i = 0; i < DONGLES; i++) {
		states[i].told = &control->dongle[i];
		pthread_mutex_init(&states[i].lock, NULL);
	}
}

static int fail(int reason)
{
	errno = reason;
	return -1;
}

static void rest(long nanoseconds)
{
	struct timespec time = { .tv_nsec = nanoseconds };

	nanosleep(&time, NULL);
}

/* Recognised by file and not by number, so that duplicated descriptors work as with the kernel. */
static struct state *device(int fd, unsigned *session)
{
	struct stat stat;

	if (!control || fd < 0 || fstat(fd, &stat) || !S_ISFIFO(stat.st_mode))
		return NULL;
	/* From the newest: the kernel uses numbers again. */
	unsigned count = atomic_load(&session_count);
	for (unsigned i = 0; i < count && i < MOST_SESSIONS; i++) {
		unsigned at = (count - 1 - i) % MOST_SESSIONS;
		if (sessions[at].inode == stat.st_ino) {
			*session = sessions[at].session;
			return sessions[at].state;
		}
	}
	return NULL;
}

static void fill(struct state *state)
{
	struct dongle *told = state->told;
	struct timespec time;

	uint32_t pictures = atomic_load(&told->pictures);
	if (!pictures || !state->waiting)
		return;
	unsigned char index = state->queue[0];
	memmove(state->queue, state->queue + 1, --state->waiting);
	uint32_t at = state->sequence % pictures;
	size_t bytes = told->picture[at].bytes;
	if (state->buffer_bytes < bytes)
		bytes = state->buffer_bytes;
	memcpy(state->buffers + index * state->buffer_bytes, (char *)control + told->picture[at].place, bytes);
	clock_gettime(CLOCK_MONOTONIC, &time);
	state->filled[index].bytes = told->picture[at].bytes_used;
	state->filled[index].damaged = told->picture[at].damaged;
	state->filled[index].sequence = state->sequence++;
	state->filled[index].completed_ns = time.tv_sec * 1000000000ull + time.tv_nsec;
	atomic_fetch_add(&told->sent, 1);
	if (write(state->offer, &index, 1) != 1)
		abort();
}

static void unplug(struct state *state)
{
	if (!state->open)
		return;
	close(state->offer);
	state->open = state->on = state->waiting = 0;
	state->session++;
}

static void *run(void *argument)
{
	struct state *state = argument;

	for (;;) {
		uint32_t rate = atomic_load(&state->told->frames_per_second);
		rest(1000000000 / (rate ? rate : 30));
		pthread_mutex_lock(&state->lock);
		if (!atomic_load(&state->told->plugged)) {
			unplug(state);
			state->owner = 0;
		}
		if (state->on && !atomic_load(&state->told->silent))
			fill(state);
		pthread_mutex_unlock(&state->lock);
	}
	return NULL;
}

static int open_device(struct state *state, int flags)
{
	int ends[2];
	struct stat stat;
	pthread_t thread;

	pthread_mutex_lock(&state->lock);
	unplug(state);
	if (pipe2(ends, O_CLOEXEC) || fstat(ends[0], &stat))
		abort();
	fcntl(ends[0], F_SETFL, flags & O_NONBLOCK);
	state->offer = ends[1];
	state->open = 1;
	unsigned at = atomic_load(&session_count) % MOST_SESSIONS;
	sessions[at].inode = stat.st_ino;
	sessions[at].state = state;
	sessions[at].session = ++state->session;
	atomic_fetch_add(&session_count, 1);
	atomic_fetch_add(&state->told->opened, 1);
	if (!state->running)
		state->running = !pthread_create(&thread, NULL, run, state);
	pthread_mutex_unlock(&state->lock);
	return ends[0];
}

/* Where a test keeps what this process takes for devices. */
static const char *elsewhere(const char *path, char *room, size_t bytes)
{
	static const char sysfs[] = "/sys/class/video4linux";

	if (!control)
		return path;
	if (!strcmp(path, "/dev"))
		snprintf(room, bytes, "%s/dev", folder);
	else if (!strncmp(path, sysfs, sizeof sysfs - 1))
		snprintf(room, bytes, "%s/sys%s", folder, path + sizeof sysfs - 1);
	else
		return path;
	return room;
}

int open(const char *path, int flags, ...)
{
	unsigned number;
	int after = 0;
	mode_t mode = 0;

	if (control && sscanf(path, "/dev/video%u%n", &number, &after) == 1 && !path[after]) {
		for (int i = 0; i < DONGLES; i++)
			if (atomic_load(&states[i].told->plugged) && atomic_load(&states[i].told->number) == number)
				return open_device(&states[i], flags);
		return fail(ENOENT);
	}
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list rest;
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *, int, ...) __attribute__((alias("open")));

DIR *opendir(const char *path)
{
	char room[512];
	int fd = syscall(SYS_openat, AT_FDCWD, elsewhere(path, room, sizeof room), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

ssize_t readlink(const char *path, char *target, size_t bytes)
{
	char room[512];

	return syscall(SYS_readlinkat, AT_FDCWD, elsewhere(path, room, sizeof room), target, bytes);
}

void *mmap(void *place, size_t length, int protection, int flags, int fd, off_t offset)
{
	unsigned session;
	struct state *state = fd < 0 ? NULL : device(fd, &session);

	return (void *)syscall(SYS_mmap, place, length, protection, flags, state ? state->memory : fd, offset);
}

void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

static int query_capability(struct v4l2_capability *answer)
{
	memset(answer, 0, sizeof *answer);
	strcpy((char *)answer->driver, "uvcvideo");
	strcpy((char *)answer->card, "Cheap dongle");
	answer->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	answer->capabilities = answer->device_caps | V4L2_CAP_DEVICE_CAPS;
	return 0;
}

/* The place in the list of the `index`th format, or of the `index`th size of one. */
static int nth(struct dongle *told, uint32_t fourcc, uint32_t index)
{
	for (uint32_t i = 0, seen = 0; i < told->offers; i++) {
		int repeated = 0;
		for (uint32_t k = 0; !fourcc && k < i; k++)
			repeated |= told->offer[k].fourcc == told->offer[i].fourcc;
		if (repeated || (fourcc && (told->offer[i].fourcc != fourcc || !told->offer[i].width)))
			continue;
		if (seen++ == index)
			return i;
	}
	return -1;
}

static int enumerate_format(struct dongle *told, struct v4l2_fmtdesc *answer)
{
	int at = nth(told, 0, answer->index);

	if (at < 0 || answer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return fail(EINVAL);
	answer->pixelformat = told->offer[at].fourcc;
	return 0;
}

static int enumerate_size(struct dongle *told, struct v4l2_frmsizeenum *answer)
{
	int at = nth(told, answer->pixel_format, answer->index);

	if (at < 0)
		return fail(EINVAL);
	answer->type = V4L2_FRMSIZE_TYPE_DISCRETE;
	answer->discrete.width = told->offer[at].width;
	answer->discrete.height = told->offer[at].height;
	return 0;
}

/* The offer of this format and size, else of this format, else the first. */
static uint32_t nearest(struct dongle *told, uint32_t fourcc, uint32_t width, uint32_t height)
{
	uint32_t best = 0, closeness = 0;

	for (uint32_t i = 0; i < told->offers; i++) {
		uint32_t fits = told->offer[i].fourcc == fourcc;
		fits += fits && told->offer[i].width == width && told->offer[i].height == height;
		if (closeness < fits) {
			best = i;
			closeness = fits;
		}
	}
	return best;
}

static int enumerate_interval(struct dongle *told, struct v4l2_frmivalenum *answer)
{
	uint32_t at = nearest(told, answer->pixel_format, answer->width, answer->height);

	if (answer->index || told->offer[at].width != answer->width || told->offer[at].height != answer->height)
		return fail(EINVAL);
	answer->type = V4L2_FRMIVAL_TYPE_DISCRETE;
	answer->discrete.numerator = 1;
	answer->discrete.denominator = told->offer[at].frames_per_second;
	return 0;
}

static uint32_t row_bytes(uint32_t fourcc, uint32_t width)
{
	switch (fourcc) {
	case V4L2_PIX_FMT_YUYV: case V4L2_PIX_FMT_UYVY: return width * 2;
	case V4L2_PIX_FMT_RGB24: case V4L2_PIX_FMT_BGR24: return width * 3;
	case V4L2_PIX_FMT_MJPEG: case V4L2_PIX_FMT_JPEG: return 0;
	default: return width;
	}
}

static int format(struct state *state, struct v4l2_format *answer, int set, unsigned session)
{
	struct dongle *told = state->told;

	if (answer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return fail(EINVAL);
	while (set && atomic_load(&told->hangs))
		rest(5000000);
	if (set && (atomic_load(&told->busy) || (state->owner && state->owner != session)))
		return fail(EBUSY);
	struct v4l2_pix_format *pix = &answer->fmt.pix;
	if (set)
		state->chosen = nearest(told, pix->pixelformat, pix->width, pix->height);
	uint32_t at = state->chosen;
	memset(pix, 0, sizeof *pix);
	pix->width = told->offer[at].width ? told->offer[at].width : 640;
	pix->height = told->offer[at].height ? told->offer[at].height : 480;
	pix->pixelformat = told->offer[at].fourcc;
	pix->field = V4L2_FIELD_NONE;
	pix->bytesperline = row_bytes(pix->pixelformat, pix->width);
	pix->sizeimage = told->buffer_bytes;
	pix->colorspace = told->colorspace;
	pix->priv = V4L2_PIX_FMT_PRIV_MAGIC;
	pix->ycbcr_enc = told->encoding;
	pix->quantization = told->quantization;
	return 0;
}

static int request_buffers(struct state *state, struct v4l2_requestbuffers *request, unsigned session)
{
	if (request->memory != V4L2_MEMORY_MMAP)
		return fail(EINVAL);
	if (state->owner && state->owner != session)
		return fail(EBUSY);
	/* As the kernel does while it streams. */
	if (state->on)
		return fail(EBUSY);
	if (state->buffers) {
		munmap(state->buffers, state->count * state->buffer_bytes);
		close(state->memory);
		state->buffers = NULL;
	}
	state->waiting = 0;
	if (request->count > MOST_BUFFERS)
		request->count = MOST_BUFFERS;
	state->count = request->count;
	state->owner = state->count ? session : 0;
	if (!state->count) {
		atomic_fetch_add(&state->told->emptied, 1);
		return 0;
	}
	state->buffer_bytes = atomic_load(&state->told->buffer_bytes);
	/* A file without a name, since the daemon may make files in this folder, and no memory that is a file. */
	state->memory = syscall(SYS_openat, AT_FDCWD, folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	size_t bytes = state->count * state->buffer_bytes;
	if (state->memory < 0 || ftruncate(state->memory, bytes))
		abort();
	state->buffers = (char *)syscall(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, state->memory, 0);
	return 0;
}

static int query_buffer(struct state *state, struct v4l2_buffer *answer)
{
	if (answer->index >= state->count)
		return fail(EINVAL);
	answer->length = state->buffer_bytes;
	answer->m.offset = answer->index * state->buffer_bytes;
	answer->memory = V4L2_MEMORY_MMAP;
	answer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	return 0;
}

static int queue_buffer(struct state *state, struct v4l2_buffer *buffer)
{
	if (buffer->index >= state->count || state->waiting == MOST_BUFFERS)
		return fail(EINVAL);
	state->queue[state->waiting++] = buffer->index;
	return 0;
}

static int dequeue_buffer(struct state *state, int fd, struct v4l2_buffer *answer)
{
	unsigned char index;

	ssize_t got = read(fd, &index, 1);
	if (got != 1)
		return got ? -1 : fail(ENODEV);
	answer->index = index;
	query_buffer(state, answer);
	answer->field = V4L2_FIELD_NONE;
	answer->bytesused = state->filled[index].bytes;
	answer->sequence = state->filled[index].sequence;
	answer->flags |= V4L2_BUF_FLAG_TSTAMP_SRC_SOE | (state->filled[index].damaged ? V4L2_BUF_FLAG_ERROR : 0);
	answer->timestamp.tv_sec = state->filled[index].completed_ns / 1000000000;
	answer->timestamp.tv_usec = state->filled[index].completed_ns % 1000000000 / 1000;
	return 0;
}

static int start(struct state *state)
{
	struct dongle *told = state->told;
	uint32_t pixels = told->offer[state->chosen].width * told->offer[state->chosen].height;

	atomic_fetch_add(&told->started, 1);
	if (told->refusal && told->allowed_pixels < pixels) {
		int reason = told->refusal;
		if (told->refusals && !--told->refusals)
			told->refusal = 0;
		return fail(reason);
	}
	state->on = 1;
	return 0;
}

static int stop(struct state *state, int fd)
{
	unsigned char index;

	state->on = state->waiting = 0;
	int flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (read(fd, &index, 1) == 1)
		;
	return state->told->off_refusal ? fail(state->told->off_refusal) : 0;
}

static int answer(struct state *state, int fd, uint32_t request, void *value, unsigned session)
{
	switch (request) {
	case VIDIOC_QUERYCAP: return query_capability(value);
	case VIDIOC_ENUM_FMT: return enumerate_format(state->told, value);
	case VIDIOC_ENUM_FRAMESIZES: return enumerate_size(state->told, value);
	case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_interval(state->told, value);
	case VIDIOC_G_FMT: return format(state, value, 0, session);
	case VIDIOC_S_PARM: return 0;
	case VIDIOC_REQBUFS: return request_buffers(state, value, session);
	case VIDIOC_QUERYBUF: return query_buffer(state, value);
	case VIDIOC_QBUF: return queue_buffer(state, value);
	case VIDIOC_DQBUF: return dequeue_buffer(state, fd, value);
	case VIDIOC_STREAMON: return start(state);
	case VIDIOC_STREAMOFF: return stop(state, fd);
	/* No inputs, no events, no DV timings, no controls: a dongle has none of them either. */
	default: return fail(ENOTTY);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	void *value = va_arg(rest, void *);
	va_end(rest);
	unsigned session;
	struct state *state = device(fd, &session);

	if (!state)
		return syscall(SYS_ioctl, fd, request, value);
	/* This one may take its time, and must not keep the plug from being pulled meanwhile. */
	if ((uint32_t)request == (uint32_t)VIDIOC_S_FMT)
		return session == state->session ? format(state, value, 1, session) : fail(ENODEV);
	pthread_mutex_lock(&state->lock);
	int result = fail(ENODEV);
	if (session == state->session && atomic_load(&state->told->plugged))
		result = answer(state, fd, request, value, session);
	int reason = errno;
	pthread_mutex_unlock(&state->lock);
	errno = reason;
	return result;
}
