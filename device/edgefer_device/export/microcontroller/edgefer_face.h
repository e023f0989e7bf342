/* From a grey image and a face's box to the model's input, and from its output to probabilities.
 *
 * Equal to edgefer's Python to the bit, which test vectors hold. Build with -ffp-contract=off: a
 * fused multiplication and addition rounds once where the two round twice. No memory is allocated.
 */
#ifndef EDGEFER_FACE_H
#define EDGEFER_FACE_H

#include <stdint.h>

#include "edgefer_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A grey image, row by row: 0 is black, 255 white. */
typedef struct {
  const uint8_t *pixels;
  int width, height;
} edgefer_image;

/* A detector's box around a face, pixels; it may reach outside the image. */
typedef struct {
  double left, top, width, height;
} edgefer_box;

/* Cut the square around a box and resize it to EDGEFER_SIDE squared grey levels; what lies outside
 * the image repeats its edge. Returns 0, or -1 for a box without an area or beside the image. */
int edgefer_crop(edgefer_image image, edgefer_box box, uint8_t *face);

/* Quantize EDGEFER_SIDE squared grey levels into the model's input tensor. */
void edgefer_quantize(const uint8_t *face, int8_t *input);

/* Turn the model's EDGEFER_OUTPUTS output tensors into EDGEFER_LABELS calibrated probabilities. */
void edgefer_probabilities(const int8_t *const *outputs, float *probabilities);

#ifdef __cplusplus
}
#endif
#endif
