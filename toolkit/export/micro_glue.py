"""The source that joins a model to TensorFlow Lite Micro, an example and a README."""

from collections.abc import Iterator

from toolkit.export.micro_header import MicroProgram
from toolkit.export.micro_text import as_json, comment

_NAMESPACES = """\
// TensorFlow Lite Micro has lived in the namespace tflite, and lives in tflite::micro in newer
// versions; both are searched.
namespace tflite {
namespace micro {}
}  // namespace tflite
"""

_NEAR = """\
// Also true where both are NaN.
bool Near(const float* actual, const unsigned char* expected, std::size_t count,
          float tolerance) {
  for (std::size_t i = 0; i < count; ++i) {
    float wanted;
    std::memcpy(&wanted, expected + i * sizeof(wanted), sizeof(wanted));
    if (std::isnan(wanted) && std::isnan(actual[i])) continue;
    if (actual[i] == wanted) continue;
    if (!(std::fabs(actual[i] - wanted) <= tolerance)) return false;
  }
  return true;
}

"""

_GLUE = """\
{opening}

#include "{space}.h"

#include <cmath>
#include <cstring>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

{namespaces}
namespace {space} {{
namespace {{

using namespace tflite;
using namespace tflite::micro;

alignas(16) std::uint8_t arena[kArenaBytes];
MicroInterpreter* interpreter = nullptr;

bool AddOperators(MicroMutableOpResolver<{count}>* resolver) {{
  return {operators};
}}

bool Fits(const MicroInterpreter& made) {{
  return made.inputs_size() == {inputs} && made.outputs_size() == {outputs};
}}

{near}}}  // namespace

bool Setup() {{
  if (interpreter != nullptr) return true;
  static MicroMutableOpResolver<{count}> resolver;
  if (!AddOperators(&resolver)) return false;
  static MicroInterpreter made(GetModel(kModel), resolver, arena, kArenaBytes);
  if (made.AllocateTensors() != kTfLiteOk || !Fits(made)) return false;
  interpreter = &made;
  return true;
}}

{accessors}
bool Invoke() {{
  return interpreter != nullptr && interpreter->Invoke() == kTfLiteOk;
}}

bool SelfTest() {{
  if (!Setup() || interpreter->Reset() != kTfLiteOk) return false;
{copies}
  if (!Invoke()) return false;
  const bool right = {checks};
  return interpreter->Reset() == kTfLiteOk && right;
}}

}}  // namespace {space}
"""

_MAIN = """\
{opening}

#include <cstdio>
#include <cstring>

#include "{space}.h"

int main() {{
  if (!{space}::Setup()) {{
    std::printf("the arena of %u bytes is too small\\n",
                static_cast<unsigned>({space}::kArenaBytes));
    return 1;
  }}
  if (!{space}::SelfTest()) {{
    std::printf("this device computes something else\\n");
    return 1;
  }}
  // Put your own values here: preprocessed as {space}.h says, and quantised.
{copies}
  if (!{space}::Invoke()) return 1;
  for (std::size_t i = 0; i < {space}::kOutput0Size; ++i) {{
    const auto answer = {value};
    std::printf("%u: %g\\n", static_cast<unsigned>(i), static_cast<double>(answer));
  }}
  return 0;
}}
"""

_README = """\
# {name} for TensorFlow Lite Micro

| | bytes |
|---|---|
| model, read-only | {model} |
| least arena (64-bit host, reference kernels) | {arena} |
| arena with margin (`{macro}`) | {with_margin} |

`{space}.h` describes inputs, outputs and preprocessing. Add `{space}.cc` and `{space}_data.cc` to
a project that has TensorFlow Lite Micro; C++11 is enough, and neither heap nor exceptions are used.
`main.cc` is an example:

    g++ -std=c++17 -I TFLM main.cc {space}.cc {space}_data.cc TFLM_LIBRARY

Call `{space}::SelfTest()` once on the device: it predicts the test vector and compares the answer
with the one of TensorFlow Lite Micro {version}, with which this was made.

- Fill every input before each `Invoke()`: the arena reuses their memory.
- Optimised kernels may need more arena than the reference kernels that were measured; if `Setup()`
  fails, define `{macro}` larger.
- Not safe to call from two threads at once.
"""


def glue(program: MicroProgram) -> str:
    """The text of NAME.cc."""
    calls = [f"resolver->{method}() == kTfLiteOk" for method in program.methods]
    near = any(part.floats for part in program.outputs)
    return _GLUE.format(
        opening=comment([f"Runs the model {as_json(program.name)}; see {program.space}.h."]),
        space=program.space,
        namespaces=_NAMESPACES,
        count=len(calls),
        operators=" &&\n         ".join(calls),
        inputs=len(program.model.inputs),
        outputs=len(program.model.outputs),
        near=_NEAR if near else "",
        accessors="\n".join(_accessors(program)),
        copies=_copies(program),
        checks=" &&\n                     ".join(_checks(program)),
    )


def example(program: MicroProgram) -> str:
    """The text of main.cc."""
    space = program.space
    value = f"{space}::Output0()[i]"
    if program.model.outputs[0].quantization is not None:
        value = f"{space}::DequantizeOutput0({value})"
    return _MAIN.format(
        opening=comment([f"An example: predicts with the model {as_json(program.name)}."]),
        space=space,
        copies=_copies(program, f"{space}::"),
        value=value,
    )


def readme(program: MicroProgram) -> str:
    """The text of README.md."""
    return _README.format(
        name=" ".join(program.name.split()),
        space=program.space,
        macro=f"{program.space.upper()}_ARENA_BYTES",
        model=len(program.model.content),
        arena=program.arena,
        with_margin=program.arena_with_margin,
        version=program.version,
    )


def _accessors(program: MicroProgram) -> Iterator[str]:
    for part in (*program.inputs, *program.outputs):
        const = "const " if part.side == "Output" else ""
        kind = f"{const}{part.prefix}Type*"
        yield (
            f"{kind} {part.prefix}() {{\n"
            "  if (interpreter == nullptr) return nullptr;\n"
            f"  return static_cast<{kind}>("
            f"interpreter->{part.side.lower()}({part.index})->data.data);\n}}\n"
        )


def _copies(program: MicroProgram, space: str = "") -> str:
    names = (part.prefix for part in program.inputs)
    return "\n".join(
        f"  std::memcpy({space}{name}(), {space}kTest{name}, {space}k{name}Bytes);"
        for name in names
    )


def _checks(program: MicroProgram) -> Iterator[str]:
    for part in program.outputs:
        name = part.prefix
        if part.floats:
            yield f"Near({name}(), kTest{name}, k{name}Size, kTest{name}Tolerance)"
        else:
            yield f"std::memcmp({name}(), kTest{name}, k{name}Bytes) == 0"
