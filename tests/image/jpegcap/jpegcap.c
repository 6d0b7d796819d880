// SPDX-License-Identifier: GPL-2.0
/*
 * A capture device for tests whose pictures come from user space.
 *
 * The kernel's own virtual devices give raw pictures only, and a loopback device gives a buffer to
 * its writer while the reader still uses it. This one is an HDMI dongle that codes MJPEG, with
 * the writer in the place of the cable: what is written to /dev/jpegcap, one write each, is
 *
 *   a JPEG file          the next picture
 *   "RES width height"   a new video mode
 *   "GONE", "BACK"       the signal disappears and returns
 *
 * As on a real dongle, a picture for which the reader has no free buffer is lost.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <media/v4l2-device.h>
#include <media/v4l2-dev.h>
#include <media/v4l2-event.h>
#include <media/v4l2-fh.h>
#include <media/v4l2-ioctl.h>
#include <media/videobuf2-v4l2.h>
#include <media/videobuf2-vmalloc.h>

#define NAME "jpegcap"
/* A PC's first mode: VGA text. */
#define FIRST_WIDTH 720
#define FIRST_HEIGHT 400
#define LARGEST 4096
/* Every JPEG file starts with this byte, and no command does. */
#define JPEG_START 0xff

struct jpegcap {
	struct v4l2_device v4l2_dev;
	struct video_device vdev;
	struct vb2_queue queue;
	/* Serializes ioctls and what the writer changes. */
	struct mutex lock;
	/* Guards the list of buffers, which are taken and given under different locks. */
	spinlock_t free_lock;
	struct list_head free;
	u32 width;
	u32 height;
	u32 sequence;
	bool gone;
};

struct jpegcap_buffer {
	struct vb2_v4l2_buffer vb;
	struct list_head list;
};

static struct jpegcap *jpegcap;

/* A JPEG of more than a byte for each pixel would be larger than what it was made from. */
static u32 image_size(const struct jpegcap *cap)
{
	return PAGE_ALIGN(cap->width * cap->height);
}

static struct jpegcap_buffer *take_free(struct jpegcap *cap)
{
	struct jpegcap_buffer *buffer;
	unsigned long flags;

	spin_lock_irqsave(&cap->free_lock, flags);
	buffer = list_first_entry_or_null(&cap->free, struct jpegcap_buffer, list);
	if (buffer)
		list_del(&buffer->list);
	spin_unlock_irqrestore(&cap->free_lock, flags);
	return buffer;
}

/* The queue of buffers. */

static int queue_setup(struct vb2_queue *queue, unsigned int *count, unsigned int *planes,
		       unsigned int sizes[], struct device *devices[])
{
	struct jpegcap *cap = vb2_get_drv_priv(queue);

	if (*planes)
		return sizes[0] < image_size(cap) ? -EINVAL : 0;
	*planes = 1;
	sizes[0] = image_size(cap);
	return 0;
}

static int buf_prepare(struct vb2_buffer *vb)
{
	struct jpegcap *cap = vb2_get_drv_priv(vb->vb2_queue);

	return vb2_plane_size(vb, 0) < image_size(cap) ? -EINVAL : 0;
}

static void buf_queue(struct vb2_buffer *vb)
{
	struct jpegcap *cap = vb2_get_drv_priv(vb->vb2_queue);
	struct vb2_v4l2_buffer *v4l2_buffer = to_vb2_v4l2_buffer(vb);
	struct jpegcap_buffer *buffer = container_of(v4l2_buffer, struct jpegcap_buffer, vb);
	unsigned long flags;

	spin_lock_irqsave(&cap->free_lock, flags);
	list_add_tail(&buffer->list, &cap->free);
	spin_unlock_irqrestore(&cap->free_lock, flags);
}

static int start_streaming(struct vb2_queue *queue, unsigned int count)
{
	struct jpegcap *cap = vb2_get_drv_priv(queue);

	cap->sequence = 0;
	return 0;
}

static void stop_streaming(struct vb2_queue *queue)
{
	struct jpegcap *cap = vb2_get_drv_priv(queue);
	struct jpegcap_buffer *buffer;

	while ((buffer = take_free(cap)))
		vb2_buffer_done(&buffer->vb.vb2_buf, VB2_BUF_STATE_ERROR);
}

static const struct vb2_ops queue_ops = {
	.queue_setup = queue_setup,
	.buf_prepare = buf_prepare,
	.buf_queue = buf_queue,
	.start_streaming = start_streaming,
	.stop_streaming = stop_streaming,
	.wait_prepare = vb2_ops_wait_prepare,
	.wait_finish = vb2_ops_wait_finish,
};

/* The reader's ioctls. */

static int querycap(struct file *file, void *fh, struct v4l2_capability *capability)
{
	strscpy(capability->driver, NAME, sizeof(capability->driver));
	strscpy(capability->card, "Test MJPEG capture", sizeof(capability->card));
	strscpy(capability->bus_info, "platform:" NAME, sizeof(capability->bus_info));
	return 0;
}

static int enum_format(struct file *file, void *fh, struct v4l2_fmtdesc *desc)
{
	if (desc->index)
		return -EINVAL;
	desc->pixelformat = V4L2_PIX_FMT_MJPEG;
	return 0;
}

static int get_format(struct file *file, void *fh, struct v4l2_format *format)
{
	struct jpegcap *cap = video_drvdata(file);

	/* The source decides: the answer does not depend on the request. */
	format->fmt.pix = (struct v4l2_pix_format) {
		.width = cap->width,
		.height = cap->height,
		.pixelformat = V4L2_PIX_FMT_MJPEG,
		.field = V4L2_FIELD_NONE,
		.sizeimage = image_size(cap),
		.colorspace = V4L2_COLORSPACE_SRGB,
	};
	return 0;
}

static int set_format(struct file *file, void *fh, struct v4l2_format *format)
{
	struct jpegcap *cap = video_drvdata(file);

	return vb2_is_busy(&cap->queue) ? -EBUSY : get_format(file, fh, format);
}

static int enum_framesizes(struct file *file, void *fh, struct v4l2_frmsizeenum *size)
{
	struct jpegcap *cap = video_drvdata(file);

	if (size->index || size->pixel_format != V4L2_PIX_FMT_MJPEG)
		return -EINVAL;
	size->type = V4L2_FRMSIZE_TYPE_DISCRETE;
	size->discrete.width = cap->width;
	size->discrete.height = cap->height;
	return 0;
}

static int enum_input(struct file *file, void *fh, struct v4l2_input *input)
{
	struct jpegcap *cap = video_drvdata(file);

	if (input->index)
		return -EINVAL;
	input->type = V4L2_INPUT_TYPE_CAMERA;
	strscpy(input->name, "HDMI", sizeof(input->name));
	input->status = cap->gone ? V4L2_IN_ST_NO_SIGNAL : 0;
	return 0;
}

static int get_input(struct file *file, void *fh, unsigned int *index)
{
	*index = 0;
	return 0;
}

static int set_input(struct file *file, void *fh, unsigned int index)
{
	return index ? -EINVAL : 0;
}

static int subscribe_event(struct v4l2_fh *fh, const struct v4l2_event_subscription *subscription)
{
	if (subscription->type != V4L2_EVENT_SOURCE_CHANGE)
		return -EINVAL;
	return v4l2_src_change_event_subscribe(fh, subscription);
}

static const struct v4l2_ioctl_ops ioctl_ops = {
	.vidioc_querycap = querycap,
	.vidioc_enum_fmt_vid_cap = enum_format,
	.vidioc_g_fmt_vid_cap = get_format,
	.vidioc_s_fmt_vid_cap = set_format,
	.vidioc_try_fmt_vid_cap = get_format,
	.vidioc_enum_framesizes = enum_framesizes,
	.vidioc_enum_input = enum_input,
	.vidioc_g_input = get_input,
	.vidioc_s_input = set_input,
	.vidioc_reqbufs = vb2_ioctl_reqbufs,
	.vidioc_create_bufs = vb2_ioctl_create_bufs,
	.vidioc_querybuf = vb2_ioctl_querybuf,
	.vidioc_qbuf = vb2_ioctl_qbuf,
	.vidioc_dqbuf = vb2_ioctl_dqbuf,
	.vidioc_expbuf = vb2_ioctl_expbuf,
	.vidioc_streamon = vb2_ioctl_streamon,
	.vidioc_streamoff = vb2_ioctl_streamoff,
	.vidioc_subscribe_event = subscribe_event,
	.vidioc_unsubscribe_event = v4l2_event_unsubscribe,
};

static const struct v4l2_file_operations video_ops = {
	.owner = THIS_MODULE,
	.open = v4l2_fh_open,
	.release = vb2_fop_release,
	.poll = vb2_fop_poll,
	.mmap = vb2_fop_mmap,
	.unlocked_ioctl = video_ioctl2,
};

/* The writer's input. */

static int obey(struct jpegcap *cap, const char *command)
{
	static const struct v4l2_event change = {
		.type = V4L2_EVENT_SOURCE_CHANGE,
		.u.src_change.changes = V4L2_EVENT_SRC_CH_RESOLUTION,
	};
	u32 width, height;

	if (sscanf(command, "RES %u %u", &width, &height) == 2) {
		if (!width || !height || LARGEST < width || LARGEST < height)
			return -EINVAL;
		cap->width = width;
		cap->height = height;
	} else if (sysfs_streq(command, "GONE")) {
		cap->gone = true;
	} else if (sysfs_streq(command, "BACK")) {
		cap->gone = false;
	} else {
		return -EINVAL;
	}
	v4l2_event_queue(&cap->vdev, &change);
	return 0;
}

static int show(struct jpegcap *cap, const char __user *picture, size_t size)
{
	struct jpegcap_buffer *buffer;
	struct vb2_buffer *vb;

	if (cap->gone || !vb2_is_streaming(&cap->queue))
		return 0;
	/* A lost picture leaves a gap in the sequence numbers. */
	cap->sequence++;
	buffer = take_free(cap);
	if (!buffer)
		return 0;
	vb = &buffer->vb.vb2_buf;
	if (vb2_plane_size(vb, 0) < size || copy_from_user(vb2_plane_vaddr(vb, 0), picture, size)) {
		vb2_buffer_done(vb, VB2_BUF_STATE_ERROR);
		return -EFBIG;
	}
	vb2_set_plane_payload(vb, 0, size);
	buffer->vb.sequence = cap->sequence - 1;
	buffer->vb.field = V4L2_FIELD_NONE;
	vb->timestamp = ktime_get_ns();
	vb2_buffer_done(vb, VB2_BUF_STATE_DONE);
	return 0;
}

static ssize_t cable_write(struct file *file, const char __user *data, size_t size, loff_t *offset)
{
	char command[32] = "";
	int error;

	if (!size)
		return -EINVAL;
	if (copy_from_user(command, data, min(size, sizeof(command) - 1)))
		return -EFAULT;
	mutex_lock(&jpegcap->lock);
	if ((u8)command[0] == JPEG_START)
		error = show(jpegcap, data, size);
	else
		error = obey(jpegcap, command);
	mutex_unlock(&jpegcap->lock);
	return error ? error : size;
}

static const struct file_operations cable_ops = {
	.owner = THIS_MODULE,
	.write = cable_write,
};

static struct miscdevice cable = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = NAME,
	.fops = &cable_ops,
};

/* The device itself. */

static void jpegcap_release(struct v4l2_device *v4l2_dev)
{
	kfree(container_of(v4l2_dev, struct jpegcap, v4l2_dev));
}

static int __init jpegcap_init(void)
{
	struct vb2_queue *queue;
	struct video_device *vdev;
	int error;

	jpegcap = kzalloc(sizeof(*jpegcap), GFP_KERNEL);
	if (!jpegcap)
		return -ENOMEM;
	mutex_init(&jpegcap->lock);
	spin_lock_init(&jpegcap->free_lock);
	INIT_LIST_HEAD(&jpegcap->free);
	jpegcap->width = FIRST_WIDTH;
	jpegcap->height = FIRST_HEIGHT;
	/* There is no signal at first. */
	jpegcap->gone = true;

	strscpy(jpegcap->v4l2_dev.name, NAME, sizeof(jpegcap->v4l2_dev.name));
	jpegcap->v4l2_dev.release = jpegcap_release;
	error = v4l2_device_register(NULL, &jpegcap->v4l2_dev);
	if (error) {
		kfree(jpegcap);
		return error;
	}

	queue = &jpegcap->queue;
	queue->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	queue->io_modes = VB2_MMAP | VB2_DMABUF;
	queue->drv_priv = jpegcap;
	queue->buf_struct_size = sizeof(struct jpegcap_buffer);
	queue->ops = &queue_ops;
	queue->mem_ops = &vb2_vmalloc_memops;
	queue->timestamp_flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	queue->lock = &jpegcap->lock;
	error = vb2_queue_init(queue);
	if (error)
		goto put;

	vdev = &jpegcap->vdev;
	strscpy(vdev->name, NAME, sizeof(vdev->name));
	vdev->release = video_device_release_empty;
	vdev->fops = &video_ops;
	vdev->ioctl_ops = &ioctl_ops;
	vdev->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	vdev->v4l2_dev = &jpegcap->v4l2_dev;
	vdev->queue = queue;
	vdev->lock = &jpegcap->lock;
	video_set_drvdata(vdev, jpegcap);
	error = video_register_device(vdev, VFL_TYPE_VIDEO, -1);
	if (error)
		goto put;

	error = misc_register(&cable);
	if (error)
		goto unregister;
	return 0;

unregister:
	vb2_video_unregister_device(vdev);
put:
	v4l2_device_put(&jpegcap->v4l2_dev);
	return error;
}

static void __exit jpegcap_exit(void)
{
	misc_deregister(&cable);
	vb2_video_unregister_device(&jpegcap->vdev);
	v4l2_device_put(&jpegcap->v4l2_dev);
}

module_init(jpegcap_init);
module_exit(jpegcap_exit);

MODULE_DESCRIPTION("MJPEG capture device fed from user space");
MODULE_LICENSE("GPL");
