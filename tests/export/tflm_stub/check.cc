// Runs generated code before the fake interpreter. Built with -DHEADER='"x_model.h"' and
// -DSPACE=x_model; says on stdout what is so, for test_micro.py to judge.
#include HEADER

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tensorflow/lite/micro/micro_interpreter.h"

namespace {

bool asked_rightly = false;

template <int change>
void Answer(const std::vector<void*>& inputs, const std::vector<void*>& outputs) {
  asked_rightly = std::memcmp(inputs[0], SPACE::kTestInput0, SPACE::kInput0Bytes) == 0;
  std::memcpy(outputs[0], SPACE::kTestOutput0, SPACE::kOutput0Bytes);
  // The last byte: of an integer a step, of a float the exponent.
  static_cast<unsigned char*>(outputs[0])[SPACE::kOutput0Bytes - 1] ^= change;
}

void Dump(const char* name, const unsigned char* bytes, std::size_t count) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes) % 16 == 0;
  std::printf("%s %d ", name, aligned ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) std::printf("%02x", bytes[i]);
  std::printf("\n");
}

}  // namespace

namespace fake {
Model model = {SPACE::kModel, 0, {SPACE::kInput0Bytes}, {SPACE::kOutput0Bytes}, Answer<0>};
std::size_t operators = 0;
int resets = 0;
}  // namespace fake

int main(int count, char** words) {
  const std::string what = words[1];
  if (what == "data") {
    Dump("model", SPACE::kModel, SPACE::kModelBytes);
    Dump("input", SPACE::kTestInput0, SPACE::kInput0Bytes);
    Dump("output", SPACE::kTestOutput0, SPACE::kOutput0Bytes);
    return 0;
  }
#ifdef QUANTISED
  if (what == "quantise") {
    for (int i = 2; i < count; ++i) {
      const float value = std::strtof(words[i], nullptr);
      std::printf("%d ", static_cast<int>(SPACE::QuantizeInput0(value)));
    }
    std::printf("\n");
    for (int i = -128; i < 128; ++i) {
      std::printf("%.9g ", static_cast<double>(
          SPACE::DequantizeOutput0(static_cast<SPACE::Output0Type>(i))));
    }
    return 0;
  }
#endif
  if (what == "wrong") fake::model.answer = Answer<1>;
  if (what == "small") fake::model.arena = SPACE::kArenaBytes + 1;
  const bool empty = SPACE::Input0() == nullptr && SPACE::Output0() == nullptr && !SPACE::Invoke();
  const bool tested = SPACE::SelfTest();
  std::printf("%d %d %d %u %d %d\n", empty, tested, asked_rightly,
              static_cast<unsigned>(fake::operators), fake::resets, count);
  return 0;
}
