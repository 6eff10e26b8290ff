// The few processor instructions that C++ has no name for. All of them work in CPL 3, to which boot.S opens
// the ports; port accesses leave the guest and cost tens of microseconds on some hosts.
#pragma once

#include <cstddef>
#include <cstdint>

namespace patchbay::router::guest {

inline std::uint64_t read_tsc() noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}

inline void pause() noexcept {
  asm volatile("pause" ::: "memory");
}

inline std::uint8_t in8(std::uint16_t port) noexcept {
  std::uint8_t value = 0;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

inline std::uint32_t in32(std::uint16_t port) noexcept {
  std::uint32_t value = 0;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
  return value;
}

inline void out8(std::uint16_t port, std::uint8_t value) noexcept {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

inline void out16(std::uint16_t port, std::uint16_t value) noexcept {
  asm volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

inline void out32(std::uint16_t port, std::uint32_t value) noexcept {
  asm volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory");
}

/// Writes `count` bytes to one port.
inline void out8_string(std::uint16_t port, const char* bytes, std::size_t count) noexcept {
  asm volatile("rep outsb" : "+S"(bytes), "+c"(count) : "d"(port) : "memory");
}

/// A fault on purpose: with no interrupt table it is a triple fault, which the VMM reports as a crash.
[[noreturn]] inline void crash() noexcept {
  asm volatile("ud2");
  __builtin_unreachable();
}

}  // namespace patchbay::router::guest
