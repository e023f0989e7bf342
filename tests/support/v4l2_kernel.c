/* A V4L2 webcam for machines whose kernel has none: preloaded (LD_PRELOAD), it answers
 * for the nodes in the folder EDGEFER_V4L2 in the kernel's place, to whoever asks: OpenCV
 * and Python alike. What it does is written in the node's file, which is read again for
 * every picture; removing the file unplugs the camera.
 *
 *     driver uvcvideo
 *     card Some Webcam
 *     kind capture            or: metadata, m2m
 *     mode YUYV 640 480 30 15
 *     mode MJPG 1280 720 30   its picture is NODE.jpg
 *     stall                   gives no more pictures
 *     busy                    somebody else streams
 *     narrow YUYV             the bus has no room for this format
 *
 * Each change of format is appended to NODE.log. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define NODES 1024
#define MODES 32
#define BUFFERS 8
#define LARGEST (1920 * 1080 * 2)

struct mode {
    unsigned format, width, height, rates[4];
};

struct script {
    char driver[16], card[32], kind[16];
    unsigned narrow;
    int stall, busy, modes;
    struct mode mode[MODES];
};

struct camera {
    char path[256];
    unsigned format, width, height, rate, count, next, queued[BUFFERS];
    int streaming;
    char *memory[BUFFERS];
};

static struct camera *cameras[NODES];

static unsigned code(const char *name) {
    return v4l2_fourcc(name[0], name[1], name[2], name[3]);
}

/* Reads the node's file; 0 when it is gone. */
static int read_script(const char *path, struct script *script) {
    FILE *file = fopen(path, "r");
    char line[128], name[8];
    if (!file) return 0;
    memset(script, 0, sizeof *script);
    strcpy(script->kind, "capture");
    while (fgets(line, sizeof line, file)) {
        struct mode *mode = &script->mode[script->modes];
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "driver ", 7)) strncpy(script->driver, line + 7, 15);
        if (!strncmp(line, "card ", 5)) strncpy(script->card, line + 5, 31);
        if (!strncmp(line, "kind ", 5)) strncpy(script->kind, line + 5, 15);
        if (!strcmp(line, "stall")) script->stall = 1;
        if (!strcmp(line, "busy")) script->busy = 1;
        if (sscanf(line, "narrow %7s", name) == 1) script->narrow = code(name);
        if (script->modes < MODES &&
            sscanf(line, "mode %7s %u %u %u %u %u %u", name, &mode->width, &mode->height,
                   &mode->rates[0], &mode->rates[1], &mode->rates[2], &mode->rates[3]) >= 4) {
            mode->format = code(name);
            script->modes++;
        }
    }
    fclose(file);
    return 1;
}

static int refuse(int number) {
    errno = number;
    return -1;
}

static int open_node(const char *path) {
    struct script script;
    int fd;
    if (!read_script(path, &script)) return refuse(ENOENT);
    /* A timer is what `select` sees: it ticks for each picture. */
    fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0 || fd >= NODES) return refuse(EMFILE);
    cameras[fd] = calloc(1, sizeof **cameras);
    strncpy(cameras[fd]->path, path, sizeof cameras[fd]->path - 1);
    if (script.modes) {
        cameras[fd]->format = script.mode[0].format;
        cameras[fd]->width = script.mode[0].width;
        cameras[fd]->height = script.mode[0].height;
        cameras[fd]->rate = script.mode[0].rates[0];
    }
    return fd;
}

static int capability(struct script *script, struct v4l2_capability *answer) {
    memset(answer, 0, sizeof *answer);
    strcpy((char *)answer->driver, script->driver);
    strcpy((char *)answer->card, script->card);
    answer->device_caps = V4L2_CAP_STREAMING;
    if (!strcmp(script->kind, "capture")) answer->device_caps |= V4L2_CAP_VIDEO_CAPTURE;
    if (!strcmp(script->kind, "metadata")) answer->device_caps |= V4L2_CAP_META_CAPTURE;
    if (!strcmp(script->kind, "m2m"))
        answer->device_caps |= V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_VIDEO_M2M;
    /* As UVC does, the whole camera's abilities are named on each of its nodes. */
    answer->capabilities = answer->device_caps | V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_DEVICE_CAPS;
    return 0;
}

static int enumerate_formats(struct script *script, struct v4l2_fmtdesc *answer) {
    unsigned seen = 0;
    for (int i = 0; i < script->modes; i++) {
        int again = 0;
        for (int j = 0; j < i; j++) again |= script->mode[j].format == script->mode[i].format;
        if (!again && seen++ == answer->index) {
            answer->pixelformat = script->mode[i].format;
            return 0;
        }
    }
    return refuse(EINVAL);
}

static int enumerate_sizes(struct script *script, struct v4l2_frmsizeenum *answer) {
    unsigned seen = 0;
    for (int i = 0; i < script->modes; i++)
        if (script->mode[i].format == answer->pixel_format && seen++ == answer->index) {
            answer->type = V4L2_FRMSIZE_TYPE_DISCRETE;
            answer->discrete.width = script->mode[i].width;
            answer->discrete.height = script->mode[i].height;
            return 0;
        }
    return refuse(EINVAL);
}

static int enumerate_rates(struct script *script, struct v4l2_frmivalenum *answer) {
    for (int i = 0; i < script->modes; i++) {
        struct mode *mode = &script->mode[i];
        if (mode->format == answer->pixel_format && mode->width == answer->width &&
            mode->height == answer->height && answer->index < 4 && mode->rates[answer->index]) {
            answer->type = V4L2_FRMIVAL_TYPE_DISCRETE;
            answer->discrete.numerator = 1;
            answer->discrete.denominator = mode->rates[answer->index];
            return 0;
        }
    }
    return refuse(EINVAL);
}

/* Takes the nearest mode, as drivers do. */
static void set_format(struct camera *camera, struct script *script, struct v4l2_pix_format *pix) {
    struct mode *best = NULL;
    long nearest = 0;
    for (int i = 0; i < script->modes; i++) {
        struct mode *mode = &script->mode[i];
        long far = labs((long)mode->width * mode->height - (long)pix->width * pix->height);
        if (mode->format != pix->pixelformat) far += 100000000;
        if (!best || far < nearest) best = mode, nearest = far;
    }
    if (!best) return;
    camera->format = best->format;
    camera->width = best->width;
    camera->height = best->height;
    camera->rate = best->rates[0];
}

static void tell_format(struct camera *camera, struct v4l2_pix_format *pix) {
    memset(pix, 0, sizeof *pix);
    pix->pixelformat = camera->format;
    pix->width = camera->width;
    pix->height = camera->height;
    pix->bytesperline = camera->width * 2;
    pix->sizeimage = camera->width * camera->height * 2;
}

static void log_mode(struct camera *camera) {
    char path[300];
    FILE *file;
    snprintf(path, sizeof path, "%s.log", camera->path);
    if ((file = fopen(path, "a"))) {
        fprintf(file, "%.4s %ux%u %u\n", (char *)&camera->format, camera->width, camera->height,
                camera->rate);
        fclose(file);
    }
}

static int start(int fd, struct camera *camera, struct script *script) {
    long interval = 1000000000L / (camera->rate ? camera->rate : 30);
    struct itimerspec ticks = {{0, interval}, {0, interval}};
    if (script->busy) return refuse(EBUSY);
    if (script->narrow == camera->format) return refuse(ENOSPC);
    camera->streaming = 1;
    log_mode(camera);
    return timerfd_settime(fd, 0, &ticks, NULL);
}

/* Draws the next picture: a JPEG, or an even grey that grows lighter by one each time. */
static unsigned draw(struct camera *camera, char *memory) {
    unsigned size = camera->width * camera->height * 2;
    if (camera->format == V4L2_PIX_FMT_MJPEG) {
        char path[300];
        FILE *file;
        snprintf(path, sizeof path, "%s.jpg", camera->path);
        if (!(file = fopen(path, "rb"))) return 0;
        size = fread(memory, 1, size, file);
        fclose(file);
        return size;
    }
    for (unsigned i = 0; i < size; i += 2) {
        memory[i] = 64 + camera->count % 128;
        memory[i + 1] = (char)128;
    }
    return size;
}

static int dequeue(int fd, struct camera *camera, struct script *script, struct v4l2_buffer *buf) {
    unsigned long long ticks;
    unsigned index;
    if (script->stall || read(fd, &ticks, sizeof ticks) < 0) {
        struct itimerspec never = {{0, 0}, {0, 0}};
        if (script->stall) timerfd_settime(fd, 0, &never, NULL);
        return refuse(EAGAIN);
    }
    index = camera->next;
    camera->next = (camera->next + 1) % BUFFERS;
    while (!camera->queued[camera->next] && camera->next != index)
        camera->next = (camera->next + 1) % BUFFERS;
    camera->queued[index] = 0;
    memset(buf, 0, sizeof *buf);
    buf->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    buf->memory = V4L2_MEMORY_MMAP;
    buf->index = index;
    buf->length = camera->width * camera->height * 2;
    buf->bytesused = draw(camera, camera->memory[index]);
    buf->sequence = camera->count++;
    return 0;
}

static int answer(int fd, unsigned long question, void *data) {
    struct camera *camera = cameras[fd];
    struct script script;
    if (!read_script(camera->path, &script)) return refuse(ENODEV);
    switch (question) {
    case VIDIOC_QUERYCAP: return capability(&script, data);
    case VIDIOC_ENUM_FMT: return enumerate_formats(&script, data);
    case VIDIOC_ENUM_FRAMESIZES: return enumerate_sizes(&script, data);
    case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_rates(&script, data);
    case VIDIOC_S_FMT:
        set_format(camera, &script, &((struct v4l2_format *)data)->fmt.pix);
        /* fall through */
    case VIDIOC_G_FMT: tell_format(camera, &((struct v4l2_format *)data)->fmt.pix); return 0;
    case VIDIOC_S_PARM: {
        struct v4l2_captureparm *wanted = &((struct v4l2_streamparm *)data)->parm.capture;
        if (wanted->timeperframe.numerator)
            camera->rate = wanted->timeperframe.denominator / wanted->timeperframe.numerator;
    }
        /* fall through */
    case VIDIOC_G_PARM: {
        struct v4l2_captureparm *now = &((struct v4l2_streamparm *)data)->parm.capture;
        now->timeperframe.numerator = 1;
        now->timeperframe.denominator = camera->rate;
        return 0;
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *wanted = data;
        if (wanted->count > BUFFERS) wanted->count = BUFFERS;
        return 0;
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *buf = data;
        buf->length = camera->width * camera->height * 2;
        buf->m.offset = buf->index * LARGEST;
        return 0;
    }
    case VIDIOC_QBUF: camera->queued[((struct v4l2_buffer *)data)->index] = 1; return 0;
    case VIDIOC_DQBUF: return dequeue(fd, camera, &script, data);
    case VIDIOC_STREAMON: return start(fd, camera, &script);
    case VIDIOC_STREAMOFF: camera->streaming = 0; return 0;
    default: return refuse(ENOTTY);
    }
}

static int ours(const char *path) {
    const char *folder = getenv("EDGEFER_V4L2");
    size_t length = folder ? strlen(folder) : 0;
    const char *name = path + length + 1;
    return length && !strncmp(path, folder, length) && path[length] == '/' &&
           !strncmp(name, "video", 5) && !strchr(name, '.');
}

#define OPEN(NAME)                                                                      \
    int NAME(const char *path, int flags, ...) {                                        \
        static int (*real)(const char *, int, ...);                                     \
        int mode = 0;                                                                   \
        if (flags & O_CREAT) {                                                          \
            va_list rest;                                                               \
            va_start(rest, flags);                                                      \
            mode = va_arg(rest, int);                                                   \
            va_end(rest);                                                               \
        }                                                                               \
        if (!real) real = dlsym(RTLD_NEXT, #NAME);                                      \
        return ours(path) && !(flags & O_CREAT) && (flags & O_ACCMODE) == O_RDWR        \
                   ? open_node(path)                                                    \
                   : real(path, flags, mode);                                           \
    }

OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long question, ...) {
    static int (*real)(int, unsigned long, ...);
    va_list rest;
    void *data;
    va_start(rest, question);
    data = va_arg(rest, void *);
    va_end(rest);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    if (fd < 0 || fd >= NODES || !cameras[fd]) return real(fd, question, data);
    return answer(fd, question & 0xffffffff, data);
}

/* Each buffer is mapped by itself, for it is also unmapped by itself. */
static void *map(struct camera *camera, long offset, size_t length) {
    char **memory = &camera->memory[offset / LARGEST % BUFFERS];
    *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return *memory;
}

#define MMAP(NAME)                                                                      \
    void *NAME(void *at, size_t length, int access, int flags, int fd, off_t offset) {  \
        static void *(*real)(void *, size_t, int, int, int, off_t);                     \
        if (!real) real = dlsym(RTLD_NEXT, #NAME);                                      \
        if (fd < 0 || fd >= NODES || !cameras[fd])                                      \
            return real(at, length, access, flags, fd, offset);                         \
        return map(cameras[fd], offset, length);                                        \
    }

MMAP(mmap)
MMAP(mmap64)

int close(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "close");
    if (fd >= 0 && fd < NODES && cameras[fd]) {
        free(cameras[fd]);
        cameras[fd] = NULL;
    }
    return real(fd);
}
