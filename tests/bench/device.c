/*
 * Replaces the kernel at /dev/video0, in any server that calls the C library.
 *
 * Preloaded into the server under test, so that no kernel module, no privileges and no capture hardware are needed. device.rs
 * simulates the hardware: it shares a memory file, whose first page is `struct control`, and two pipes. A byte in the `empty`
 * pipe is a buffer that the server queued; a byte in the `full` pipe is one that has been filled. The server's descriptor
 * of the device is the `full` pipe, which select, poll and epoll take to be readable exactly when there is a picture.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/version.h>
#include <linux/videodev2.h>

#define NODE "/dev/video0"
#define CONTROL_BYTES 4096
#define MOST_BUFFERS 32

/* device.rs has the same structure. */
struct control {
	uint32_t width, height, frames_per_second, buffer_bytes;
	_Atomic uint32_t streaming;
	/* Grows when the server takes its buffers back. A pipe's byte carries three bits of it, to tell old ones. */
	_Atomic uint32_t generation;
	struct {
		uint64_t completed_ns;
		uint32_t bytes, sequence;
	} filled[MOST_BUFFERS];
};

static struct control *control;
static int memory, full, empty;
static struct stat full_stat;
static uint32_t buffers;

__attribute__((constructor)) static void attach(void)
{
	const char *descriptors = getenv("FARHAND_BENCH_DEVICE");

	if (!descriptors || sscanf(descriptors, "%d,%d,%d", &memory, &full, &empty) != 3 || fstat(full, &full_stat))
		return;
	void *page = (void *)syscall(SYS_mmap, NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (page != MAP_FAILED)
		control = page;
}

/* Recognised by file and not by number, so that duplicated descriptors work as with the kernel. */
static int is_device(int fd)
{
	struct stat stat;

	return control && fd >= 0 && !fstat(fd, &stat) && stat.st_ino == full_stat.st_ino && stat.st_dev == full_stat.st_dev;
}

static int is_node(const char *path)
{
	return control && path && !strcmp(path, NODE);
}

static int fail(int reason)
{
	errno = reason;
	return -1;
}

static int open_device(int flags)
{
	int fd = fcntl(full, F_DUPFD_CLOEXEC, 0);

	if (fd >= 0)
		fcntl(fd, F_SETFL, flags & O_NONBLOCK);
	return fd;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (is_node(path))
		return open_device(flags);
	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list rest;
		va_start(rest, flags);
		mode = va_arg(rest, mode_t);
		va_end(rest);
	}
	return syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int access(const char *path, int mode)
{
	return is_node(path) ? 0 : syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

void *mmap(void *place, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (is_device(fd)) {
		fd = memory;
		offset += CONTROL_BYTES;
	}
	return (void *)syscall(SYS_mmap, place, length, protection, flags, fd, offset);
}

void *mmap64(void *place, size_t length, int protection, int flags, int fd, off_t offset) __attribute__((alias("mmap")));

static int query_capability(struct v4l2_capability *answer)
{
	memset(answer, 0, sizeof *answer);
	strcpy((char *)answer->driver, "bench");
	strcpy((char *)answer->card, "Bench capture");
	strcpy((char *)answer->bus_info, "usb-bench");
	answer->version = KERNEL_VERSION(6, 12, 0);
	answer->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
	answer->capabilities = answer->device_caps | V4L2_CAP_DEVICE_CAPS;
	return 0;
}

/* One format, one size, one rate: requests for others get these, as from a driver. */
static int enumerate_format(struct v4l2_fmtdesc *answer)
{
	if (answer->index || answer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return fail(EINVAL);
	answer->pixelformat = V4L2_PIX_FMT_MJPEG;
	answer->flags = V4L2_FMT_FLAG_COMPRESSED;
	strcpy((char *)answer->description, "Motion-JPEG");
	return 0;
}

static int enumerate_size(struct v4l2_frmsizeenum *answer)
{
	if (answer->index || answer->pixel_format != V4L2_PIX_FMT_MJPEG)
		return fail(EINVAL);
	answer->type = V4L2_FRMSIZE_TYPE_DISCRETE;
	answer->discrete.width = control->width;
	answer->discrete.height = control->height;
	return 0;
}

static int enumerate_interval(struct v4l2_frmivalenum *answer)
{
	if (answer->index || answer->pixel_format != V4L2_PIX_FMT_MJPEG)
		return fail(EINVAL);
	answer->type = V4L2_FRMIVAL_TYPE_DISCRETE;
	answer->discrete.numerator = 1;
	answer->discrete.denominator = control->frames_per_second;
	return 0;
}

static int format(struct v4l2_format *answer)
{
	struct v4l2_pix_format pix = {
		.width = control->width,
		.height = control->height,
		.pixelformat = V4L2_PIX_FMT_MJPEG,
		.field = V4L2_FIELD_NONE,
		.sizeimage = control->buffer_bytes,
		.colorspace = V4L2_COLORSPACE_SRGB,
	};

	if (answer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return fail(EINVAL);
	answer->fmt.pix = pix;
	return 0;
}

static int rate(struct v4l2_streamparm *answer)
{
	if (answer->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
		return fail(EINVAL);
	answer->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
	answer->parm.capture.timeperframe.numerator = 1;
	answer->parm.capture.timeperframe.denominator = control->frames_per_second;
	return 0;
}

static int input(struct v4l2_input *answer)
{
	if (answer->index)
		return fail(EINVAL);
	memset(answer, 0, sizeof *answer);
	strcpy((char *)answer->name, "HDMI");
	answer->type = V4L2_INPUT_TYPE_CAMERA;
	return 0;
}

static int stop(void)
{
	atomic_store(&control->streaming, 0);
	atomic_fetch_add(&control->generation, 1);
	return 0;
}

static int request_buffers(struct v4l2_requestbuffers *request)
{
	if (request->memory != V4L2_MEMORY_MMAP)
		return fail(EINVAL);
	if (request->count > MOST_BUFFERS)
		request->count = MOST_BUFFERS;
	buffers = request->count;
	return stop();
}

static int query_buffer(struct v4l2_buffer *answer)
{
	if (answer->index >= buffers)
		return fail(EINVAL);
	answer->length = control->buffer_bytes;
	answer->m.offset = answer->index * control->buffer_bytes;
	answer->memory = V4L2_MEMORY_MMAP;
	answer->flags = V4L2_BUF_FLAG_MAPPED | V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	return 0;
}

static int queue_buffer(struct v4l2_buffer *buffer)
{
	unsigned char byte = (atomic_load(&control->generation) & 7) << 5 | buffer->index;

	if (buffer->index >= buffers)
		return fail(EINVAL);
	return write(empty, &byte, 1) == 1 ? 0 : -1;
}

static int dequeue_buffer(int fd, struct v4l2_buffer *answer)
{
	unsigned char byte;

	do {
		ssize_t got = read(fd, &byte, 1);
		if (got != 1)
			return got ? -1 : fail(ENODEV);
	} while (byte >> 5 != (atomic_load(&control->generation) & 7));
	answer->index = byte & 31;
	query_buffer(answer);
	answer->field = V4L2_FIELD_NONE;
	answer->bytesused = control->filled[answer->index].bytes;
	answer->sequence = control->filled[answer->index].sequence;
	answer->timestamp.tv_sec = control->filled[answer->index].completed_ns / 1000000000;
	answer->timestamp.tv_usec = control->filled[answer->index].completed_ns % 1000000000 / 1000;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	va_start(rest, request);
	void *value = va_arg(rest, void *);
	va_end(rest);

	if (!is_device(fd))
		return syscall(SYS_ioctl, fd, request, value);
	switch ((uint32_t)request) {
	case VIDIOC_QUERYCAP: return query_capability(value);
	case VIDIOC_ENUM_FMT: return enumerate_format(value);
	case VIDIOC_ENUM_FRAMESIZES: return enumerate_size(value);
	case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_interval(value);
	case VIDIOC_G_FMT: case VIDIOC_S_FMT: case VIDIOC_TRY_FMT: return format(value);
	case VIDIOC_G_PARM: case VIDIOC_S_PARM: return rate(value);
	case VIDIOC_ENUMINPUT: return input(value);
	case VIDIOC_G_INPUT: *(int *)value = 0; return 0;
	case VIDIOC_S_INPUT: return *(int *)value ? fail(EINVAL) : 0;
	case VIDIOC_REQBUFS: return request_buffers(value);
	case VIDIOC_QUERYBUF: return query_buffer(value);
	case VIDIOC_QBUF: return queue_buffer(value);
	case VIDIOC_DQBUF: return dequeue_buffer(fd, value);
	case VIDIOC_STREAMON: atomic_store(&control->streaming, 1); return 0;
	case VIDIOC_STREAMOFF: return stop();
	/* No events, no DV timings, no controls: a USB dongle has none of them either. */
	default: return fail(ENOTTY);
	}
}
