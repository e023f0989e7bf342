// Reads one face with TensorFlow Lite Micro: a start for an application of your own.
#include <cstdint>

#include "edgefer_face.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {
alignas(16) std::uint8_t arena[$arena];
}

// Returns the index of the label in edgefer_labels; -1 without a face, or where it is unsure.
int read_expression(edgefer_image image, edgefer_box box) {
  static tflite::MicroMutableOpResolver<$count> resolver;
  static bool ready = false;
  if (!ready) {
$add
    ready = true;
  }
  static tflite::MicroInterpreter interpreter(tflite::GetModel(edgefer_model), resolver, arena,
                                              sizeof arena);
  static const bool allocated = interpreter.AllocateTensors() == kTfLiteOk;
  std::uint8_t face[EDGEFER_SIDE * EDGEFER_SIDE];
  if (!allocated || edgefer_crop(image, box, face) != 0) return -1;
  edgefer_quantize(face, interpreter.input(0)->data.int8);
  if (interpreter.Invoke() != kTfLiteOk) return -1;
  const std::int8_t *outputs[EDGEFER_OUTPUTS];
  for (int at = 0; at < EDGEFER_OUTPUTS; at++) outputs[at] = interpreter.output(at)->data.int8;
  float probabilities[EDGEFER_LABELS];
  edgefer_probabilities(outputs, probabilities);
  int best = 0;
  for (int label = 1; label < EDGEFER_LABELS; label++)
    if (probabilities[label] > probabilities[best]) best = label;
  return probabilities[best] < EDGEFER_THRESHOLD ? -1 : best;
}
