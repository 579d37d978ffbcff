// The part of TensorFlow Lite Micro's interface that generated code uses, with the same signatures
// and the same namespaces (those of older versions with -DTFLM_OLDER), before a fake interpreter:
// a test says what the model is like and what it answers.
#ifndef TFLM_STUB_MICRO_INTERPRETER_H_
#define TFLM_STUB_MICRO_INTERPRETER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fake {

struct Model {
  const void* buffer;              // that GetModel() must be given
  std::size_t arena;               // least arena in bytes
  std::vector<std::size_t> inputs;   // bytes of each
  std::vector<std::size_t> outputs;  // bytes of each
  void (*answer)(const std::vector<void*>& inputs, const std::vector<void*>& outputs);
};

extern Model model;
extern std::size_t operators;  // that were added
extern int resets;

}  // namespace fake

namespace tflite {
struct Model;
inline const Model* GetModel(const void* buffer) { return static_cast<const Model*>(buffer); }
}  // namespace tflite

#ifndef TFLM_OLDER
namespace tflite {
namespace micro {
#endif

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };

union TfLitePtrUnion {
  float* f;
  char* raw;
  std::int8_t* int8;
  void* data;
};

struct TfLiteTensor {
  TfLitePtrUnion data;
  std::size_t bytes;
};

#ifdef TFLM_OLDER
namespace tflite {
namespace micro {
inline void TensorHelper() {}  // older versions have this namespace too
}  // namespace micro
#endif

class MicroResourceVariables;
class MicroProfilerInterface;

class MicroOpResolver {
 public:
  virtual ~MicroOpResolver() {}
};

class MicroInterpreter {
 public:
  MicroInterpreter(const tflite::Model* model, const MicroOpResolver&, std::uint8_t* tensor_arena,
                   std::size_t tensor_arena_size, MicroResourceVariables* = nullptr,
                   MicroProfilerInterface* = nullptr, bool = false)
      : model_(model), arena_(tensor_arena), size_(tensor_arena_size) {}

  TfLiteStatus AllocateTensors() {
    const bool aligned = reinterpret_cast<std::uintptr_t>(arena_) % 16 == 0;
    if (size_ < fake::model.arena || !aligned) return kTfLiteError;
    if (model_ != static_cast<const void*>(fake::model.buffer)) return kTfLiteError;
    std::uint8_t* next = arena_;
    for (std::size_t bytes : fake::model.inputs) inputs_.push_back(Place(&next, bytes));
    for (std::size_t bytes : fake::model.outputs) outputs_.push_back(Place(&next, bytes));
    return kTfLiteOk;
  }

  TfLiteStatus Invoke() {
    std::vector<void*> inputs, outputs;
    for (const TfLiteTensor& tensor : inputs_) inputs.push_back(tensor.data.data);
    for (const TfLiteTensor& tensor : outputs_) outputs.push_back(tensor.data.data);
    fake::model.answer(inputs, outputs);
    return kTfLiteOk;
  }

  TfLiteStatus Reset() {
    ++fake::resets;
    return kTfLiteOk;
  }

  TfLiteTensor* input(std::size_t index) { return &inputs_[index]; }
  TfLiteTensor* output(std::size_t index) { return &outputs_[index]; }
  std::size_t inputs_size() const { return inputs_.size(); }
  std::size_t outputs_size() const { return outputs_.size(); }

 private:
  static TfLiteTensor Place(std::uint8_t** next, std::size_t bytes) {
    TfLiteTensor tensor;
    tensor.data.data = *next;
    tensor.bytes = bytes;
    *next += (bytes + 15) / 16 * 16;
    return tensor;
  }

  const tflite::Model* model_;
  std::uint8_t* arena_;
  std::size_t size_;
  std::vector<TfLiteTensor> inputs_, outputs_;
};

#ifndef TFLM_OLDER
}  // namespace micro
#endif
}  // namespace tflite

#endif  // TFLM_STUB_MICRO_INTERPRETER_H_
