// What op.cpp and cpu.cpp of gelu share. C headers only: kernels see this file.
#pragma once

namespace margay {

// x / 2 (1 + tanh(u / 2)) = x sigmoid(u) with u = kGeluSlope (x + kGeluCube x^3).
constexpr float kGeluSlope = 1.59576912f;  // 2 sqrt(2 / pi)
constexpr float kGeluCube = 0.044715f;

}  // namespace margay
