// Random numbers that are the same on every machine: xoshiro256**, seeded by splitmix64.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace margay {

// One stream of random numbers. Copies go on independently with the same numbers.
class Random {
 public:
  using State = std::array<uint64_t, 4>;  // what a checkpoint stores

  // Streams of the same seed do not overlap in practice: document 7 of a seed is the same in any batch.
  explicit Random(uint64_t seed, uint64_t stream = 0) {
    uint64_t mix = seed;
    mix = split_mix(mix) ^ (stream * 0xd1342543de82ef95u);
    for (uint64_t& word : state_) word = split_mix(mix);
  }

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

  uint64_t next() {  // 64 random bits
    const uint64_t result = rotate(state_[1] * 5, 7) * 9, shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // [0, n), without bias; n >= 1.
  uint64_t below(uint64_t n) {
    const uint64_t rejected = (0 - n) % n;  // 2^64 mod n of the smallest numbers would make some results likelier
    uint64_t bits = next();
    while (bits < rejected) bits = next();
    return bits % n;
  }
  // Standard normal, by Box and Muller; takes two uniforms each time.
  double normal() {
    const double radius = std::sqrt(-2 * std::log1p(-uniform()));
    return radius * std::cos(6.283185307179586477 * uniform());
  }

 private:
  static uint64_t rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }
  // Advances `x` and returns the next number of its sequence.
  static uint64_t split_mix(uint64_t& x) {
    uint64_t z = (x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  State state_{};
};

}  // namespace margay
