// See micro_interpreter.h. Adding more operators than there is room for, or one twice, is an error
// in TensorFlow Lite Micro, and here.
#ifndef TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
#define TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_

#include <set>

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace tflite {
#ifndef TFLM_OLDER
namespace micro {
#endif

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
 public:
#define TFLM_STUB_ADD(name) \
  TfLiteStatus Add##name() { return Add(#name); }
  TFLM_STUB_ADD(Add)
  TFLM_STUB_ADD(Conv2D)
  TFLM_STUB_ADD(DepthwiseConv2D)
  TFLM_STUB_ADD(FullyConnected)
  TFLM_STUB_ADD(Logistic)
  TFLM_STUB_ADD(MaxPool2D)
  TFLM_STUB_ADD(Mul)
  TFLM_STUB_ADD(Pack)
  TFLM_STUB_ADD(Reshape)
  TFLM_STUB_ADD(Shape)
  TFLM_STUB_ADD(Softmax)
  TFLM_STUB_ADD(Split)
  TFLM_STUB_ADD(StridedSlice)
  TFLM_STUB_ADD(Sub)
  TFLM_STUB_ADD(Tanh)
  TFLM_STUB_ADD(Unpack)
#undef TFLM_STUB_ADD

 private:
  TfLiteStatus Add(const char* name) {
    if (names_.size() == tOpCount || !names_.insert(name).second) return kTfLiteError;
    fake::operators = names_.size();
    return kTfLiteOk;
  }

  std::set<const char*> names_;
};

#ifndef TFLM_OLDER
}  // namespace micro
#endif
}  // namespace tflite

#endif  // TFLM_STUB_MICRO_MUTABLE_OP_RESOLVER_H_
