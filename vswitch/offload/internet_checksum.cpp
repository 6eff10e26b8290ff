#include "vswitch/offload/internet_checksum.h"

#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace patchbay::vswitch::offload {
namespace {

static_assert(std::endian::native == std::endian::little, "words are summed as little-endian numbers");

template <typename Word>
Word load(const std::byte* bytes) noexcept {
  Word word;
  std::memcpy(&word, bytes, sizeof word);
  return word;
}

// Sums of 32-bit halves in 64 bits cannot overflow for the lengths that fit into memory, and 2^16 is 1 modulo
// 2^16 - 1, so wide words are summed like narrow ones.
std::uint64_t sum_scalar(const std::byte* data, std::size_t size) noexcept {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  for (; size >= 8; size -= 8, data += 8) {
    const auto word = load<std::uint64_t>(data);
    low += word & 0xFFFF'FFFF;
    high += word >> 32;
  }
  if (size >= 4) {
    low += load<std::uint32_t>(data);
    size -= 4;
    data += 4;
  }
  if (size >= 2) {
    low += load<std::uint16_t>(data);
    size -= 2;
    data += 2;
  }
  if (size != 0) low += std::to_integer<std::uint64_t>(*data);
  return low + high;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint64_t sum_avx2(const std::byte* data, std::size_t size) noexcept {
  if (size < 64) return sum_scalar(data, size);
  const __m256i low_half = _mm256_set1_epi64x(0xFFFF'FFFF);
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_setzero_si256();
  for (; size >= 64; size -= 64, data += 64) {
    const __m256i a = _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(data)));
    const __m256i b = _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(data + 32)));
    low = _mm256_add_epi64(low, _mm256_and_si256(a, low_half));
    high = _mm256_add_epi64(high, _mm256_srli_epi64(a, 32));
    low = _mm256_add_epi64(low, _mm256_and_si256(b, low_half));
    high = _mm256_add_epi64(high, _mm256_srli_epi64(b, 32));
  }
  const __m256i both = _mm256_add_epi64(low, high);
  const __m128i pair = _mm_add_epi64(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  const auto sum = static_cast<std::uint64_t>(_mm_cvtsi128_si64(pair)) +
                   static_cast<std::uint64_t>(_mm_extract_epi64(pair, 1));
  return sum + sum_scalar(data, size);
}
#endif

using SumFunction = std::uint64_t (*)(const std::byte*, std::size_t) noexcept;

SumFunction choose() noexcept {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) return sum_avx2;
#endif
  return sum_scalar;
}

const SumFunction sum_bytes = choose();

}  // namespace

std::uint16_t sum_words(std::span<const std::byte> bytes) noexcept {
  return fold(sum_bytes(bytes.data(), bytes.size()));
}

}  // namespace patchbay::vswitch::offload
