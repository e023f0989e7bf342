/* A stand-in for libedgetpu.so.1, which no machine here has a chip for.

   It is loaded as the real one is (TensorFlow Lite, external_delegate_interface.h) and takes no
   operation over: LiteRT runs them all itself. EDGETPU_CHIP names a file that stands for the chip:
   where it is missing none is plugged in, and every model that is made ready adds a line to it. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct delegate { /* TfLiteDelegate, tensorflow/lite/core/c/common.h */
    void *data;
    int (*prepare)(void *context, struct delegate *self);
    void *copy_from, *copy_to, *free_handle;
    int64_t flags;
    void *builder;
};

static int prepare(void *context, struct delegate *self)
{
    FILE *chip = fopen(getenv("EDGETPU_CHIP"), "a");

    (void)context;
    (void)self;
    fputs("ready\n", chip);
    return fclose(chip);
}

static struct delegate only = {.prepare = prepare};

struct delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t number,
                                               void (*report)(const char *))
{
    const char *place = getenv("EDGETPU_CHIP");
    FILE *chip = place ? fopen(place, "r") : NULL;

    (void)keys;
    (void)values;
    (void)number;
    if (!chip) {
        report("no chip");
        return NULL;
    }
    fclose(chip);
    return &only;
}

void tflite_plugin_destroy_delegate(struct delegate *which)
{
    (void)which;
}
