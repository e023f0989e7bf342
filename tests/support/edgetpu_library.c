/* A stand-in for libedgetpu.so.1, which no machine here has a chip for.

   It is loaded as the real one is (TensorFlow Lite, external_delegate_interface.h) and takes no
   operation over: LiteRT runs them all itself. EDGETPU_CHIP names a file that stands for the chip:
   where it is missing none is plugged in, who holds it keeps everybody else from it, as the chip
   does, and every model that is made ready adds a line to it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

struct delegate { /* TfLiteDelegate, tensorflow/lite/core/c/common.h */
    void *data;
    int (*prepare)(void *context, struct delegate *self);
    void *copy_from, *copy_to, *free_handle;
    int64_t flags;
    void *builder;
};

static int prepare(void *context, struct delegate *self)
{
    (void)context;
    return write((int)(intptr_t)self->data, "ready\n", 6) != 6;
}

static int held(const char *place)
{
    int chip = place ? open(place, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;

    if (chip >= 0 && flock(chip, LOCK_EX | LOCK_NB)) {
        close(chip);
        return -1;
    }
    return chip;
}

struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t number,
                                               void (*report)(const char *))
{
    int chip = held(getenv("EDGETPU_CHIP"));
    struct delegate *made;

    (void)keys;
    (void)values;
    (void)number;
    if (chip < 0) {
        report("no chip, or another holds it");
        return NULL;
    }
    made = calloc(1, sizeof *made);
    made->data = (void *)(intptr_t)chip;
    made->prepare = prepare;
    return made;
}

void tflite_plugin_destroy_delegate(struct delegate *which)
{
    if (which) { /* LiteRT gives back what it did not get, too */
        close((int)(intptr_t)which->data);
        free(which);
    }
}
