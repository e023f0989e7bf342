/* Resizing is OpenCV 4's (modules/imgproc/src/resize.cpp): INTER_AREA where a square shrinks, else
 * INTER_LINEAR, both on bytes. */
#include "edgefer_face.h"

#include <math.h>

#define LEAST_SHARE 1e-3 /* of a row or column: less is left out */
#define ONE 2048         /* weights of the linear way, in whole numbers */

/* A square of an image, which may reach outside it. */
typedef struct {
  edgefer_image image;
  int left, top, side;
} square;

/* Which pixels of a row or column make one of the target, and with what shares: one before `first`,
 * those up to `last`, and `last` itself. A share of 0 is none. */
typedef struct {
  int first, last;
  float before, each, after;
} span;

/* To the nearest whole number, halves to the even one, as Python and OpenCV round. */
static int rounded(double value) {
  double below = floor(value), rest = value - below;
  int whole = (int)below;
  if (rest != 0.5) return rest < 0.5 ? whole : whole + 1;
  return whole % 2 == 0 ? whole : whole + 1;
}

static int clamped(int value, int most) { return value < 0 ? 0 : value > most ? most : value; }

static uint8_t level(const square *from, int x, int y) {
  int row = clamped(from->top + y, from->image.height - 1);
  int column = clamped(from->left + x, from->image.width - 1);
  return from->image.pixels[row * from->image.width + column];
}

static span span_of(int side, int to, double factor) {
  double start = to * factor, end = start + factor;
  double cell = factor < side - start ? factor : side - start;
  span found = {0, 0, 0, 0, 0};
  found.last = (int)floor(end) < side - 1 ? (int)floor(end) : side - 1;
  found.first = (int)ceil(start) < found.last ? (int)ceil(start) : found.last;
  found.each = (float)(1 / cell);
  if (found.first - start > LEAST_SHARE) found.before = (float)((found.first - start) / cell);
  if (end - found.last > LEAST_SHARE) {
    double rest = end - found.last < 1 ? end - found.last : 1;
    found.after = (float)((rest < cell ? rest : cell) / cell);
  }
  return found;
}

static float sum_of_row(const square *from, int y, const span *columns) {
  float sum = 0;
  if (columns->before > 0) sum += level(from, columns->first - 1, y) * columns->before;
  for (int x = columns->first; x < columns->last; x++) sum += level(from, x, y) * columns->each;
  if (columns->after > 0) sum += level(from, columns->last, y) * columns->after;
  return sum;
}

static uint8_t mean_of_parts(const square *from, const span *columns, const span *rows) {
  float sum = 0;
  if (rows->before > 0) sum += rows->before * sum_of_row(from, rows->first - 1, columns);
  for (int y = rows->first; y < rows->last; y++) sum += rows->each * sum_of_row(from, y, columns);
  if (rows->after > 0) sum += rows->after * sum_of_row(from, rows->last, columns);
  return (uint8_t)rounded(sum);
}

static uint8_t mean_of_block(const square *from, int left, int top, int size) {
  int sum = 0;
  for (int y = top; y < top + size; y++)
    for (int x = left; x < left + size; x++) sum += level(from, x, y);
  if (size == 2) return (uint8_t)((sum + 2) >> 2);
  float share = (float)(1.0 / (size * size));
  return (uint8_t)rounded((float)sum * share);
}

static void shrink(const square *from, uint8_t *face) {
  double factor = 1 / ((double)EDGEFER_SIDE / from->side);
  int whole = rounded(factor), blocks = fabs(factor - whole) < 0x1p-52;
  span columns[EDGEFER_SIDE];
  for (int x = 0; x < EDGEFER_SIDE; x++) columns[x] = span_of(from->side, x, factor);
  for (int y = 0; y < EDGEFER_SIDE; y++) {
    span rows = span_of(from->side, y, factor);
    for (int x = 0; x < EDGEFER_SIDE; x++)
      *face++ = blocks ? mean_of_block(from, x * whole, y * whole, whole)
                       : mean_of_parts(from, &columns[x], &rows);
  }
}

/* The pixel before a place, and the weight of the one after. */
static int neighbour(int side, int to, int *far) {
  double factor = 1 / ((double)EDGEFER_SIDE / side);
  float place = (float)((to + 0.5) * factor - 0.5);
  int at = (int)floorf(place);
  *far = rounded((float)((place - (float)at) * ONE));
  return at;
}

static int between(const square *from, int x, int far, int y) {
  int row = clamped(y, from->side - 1), next = clamped(x + 1, from->side - 1);
  return level(from, x, row) * (ONE - far) + level(from, next, row) * far;
}

static void stretch(const square *from, uint8_t *face) {
  int columns[EDGEFER_SIDE], fars[EDGEFER_SIDE];
  for (int x = 0; x < EDGEFER_SIDE; x++) {
    int column = neighbour(from->side, x, &fars[x]);
    if (column < 0 || column >= from->side - 1) fars[x] = 0;
    columns[x] = clamped(column, from->side - 1);
  }
  for (int y = 0; y < EDGEFER_SIDE; y++) {
    int below, row = neighbour(from->side, y, &below);
    for (int x = 0; x < EDGEFER_SIDE; x++) {
      int column = columns[x], far = fars[x];
      int upper = between(from, column, far, row), lower = between(from, column, far, row + 1);
      int sum = (((ONE - below) * (upper >> 4)) >> 16) + ((below * (lower >> 4)) >> 16);
      *face++ = (uint8_t)((sum + 2) >> 2);
    }
  }
}

int edgefer_crop(edgefer_image image, edgefer_box box, uint8_t *face) {
  if (!(box.width > 0 && box.height > 0) || image.width < 1 || image.height < 1) return -1;
  square from = {image, 0, 0, 0};
  from.side = rounded((box.width + box.height) / 2 * (1 + 2 * EDGEFER_MARGIN));
  if (from.side < 1) from.side = 1;
  from.left = rounded(box.left + box.width / 2 - from.side / 2.0);
  from.top = rounded(box.top + box.height / 2 - from.side / 2.0);
  if (from.left >= image.width || from.left + from.side <= 0) return -1;
  if (from.top >= image.height || from.top + from.side <= 0) return -1;
  if (from.side >= EDGEFER_SIDE)
    shrink(&from, face);
  else
    stretch(&from, face);
  return 0;
}

void edgefer_quantize(const uint8_t *face, int8_t *input) {
  for (int at = 0; at < EDGEFER_SIDE * EDGEFER_SIDE; at++) input[at] = edgefer_levels[face[at]];
}

void edgefer_probabilities(const int8_t *const *outputs, float *probabilities) {
  float most = -INFINITY, sum = 0;
  for (int label = 0; label < EDGEFER_LABELS; label++) {
    /* Zero points are the same for all labels, and cancel. */
    probabilities[label] = 0;
    for (int term = 0; term < EDGEFER_TERMS; term++) {
      const edgefer_term *one = &edgefer_terms[term];
      probabilities[label] += one->factor * (float)outputs[one->output][one->columns[label]];
    }
    if (probabilities[label] > most) most = probabilities[label];
  }
  /* The greatest logit is subtracted, so that no exponential overflows. */
  for (int label = 0; label < EDGEFER_LABELS; label++)
    sum += probabilities[label] = expf(probabilities[label] - most);
  for (int label = 0; label < EDGEFER_LABELS; label++) probabilities[label] /= sum;
}
