// Tile sizes of the matrix products, and the scratch they need: shared by shape rules and kernels. No size depends on
// the number of threads, and a product's sum over k is always taken in the same order, so neither do the results. C
// headers only.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace margay {

constexpr int64_t kFewRows = 4;       // up to so many rows of x a float product is dot products along the weight's rows
constexpr int64_t kWidestPanel = 32;  // output columns of the float tile at the widest: two 512-bit registers

// float32 tiles: a panel of kPanelDepth x (2 registers) unpacked weights stays in L1 or L2 while the rows of x pass by.
constexpr int64_t kPanelDepth = 256;
constexpr int64_t kRowBlock = 1024;  // rows of x that pass by before the next panel: with kPanelDepth, 1 MiB of L2
constexpr int64_t kMostTileRows = 12;

static inline size_t gemm_scratch() {
  const int64_t panel = kPanelDepth * kWidestPanel, unpacked = 16 * kPanelDepth, edge = kMostTileRows * kWidestPanel;
  const int64_t packed = (kRowBlock + kMostTileRows) * kPanelDepth + 16;
  return static_cast<size_t>(panel + unpacked + edge + packed) * sizeof(float);
}

// int8 tiles: 32 rows x kDepth weights in L1, kColumnBlock rows of x pass by; kPassDepth of k at a time, so that the
// activations of a pass stay in L2. Up to kStreamedActivations elements of x stay there whole.
constexpr int64_t kDepth = 512;
constexpr int64_t kPassDepth = 2048;
constexpr int64_t kColumnBlock = 256;
constexpr int64_t kStreamedActivations = 1 << 17;

static constexpr size_t int8_scratch() {
  const int64_t tile = kDepth * 32 + kDepth / 16 * 32 * 4 * 2 + kDepth * 34, sums = kColumnBlock * 32 * 4;
  return static_cast<size_t>(tile + sums);
}

}  // namespace margay
