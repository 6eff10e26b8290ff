// Memory for tables whose sizes are known at start: taken from one region, never given back.
//
// The freestanding appliance has no heap. Running out is reported, never fatal: every taker checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace patchbay::router {

class Arena {
 public:
  /// The region must outlive everything made in it. It need not be zeroed, and what is never taken is never
  /// touched.
  explicit Arena(std::span<std::byte> region) noexcept : free_(region) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Bytes still free, before alignment.
  [[nodiscard]] std::size_t available() const noexcept { return free_.size(); }

  /// Uninitialized bytes, or an empty span if so many are not left. `alignment` is a power of two.
  [[nodiscard]] std::span<std::byte> take(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t padding = (0 - reinterpret_cast<std::uintptr_t>(free_.data())) & (alignment - 1);
    if (padding > free_.size() || bytes > free_.size() - padding) return {};
    const auto taken = free_.subspan(padding, bytes);
    free_ = free_.subspan(padding + bytes);
    return taken;
  }

  /// `count` value-initialized objects, or an empty span.
  template <typename T>
  [[nodiscard]] std::span<T> make_array(std::size_t count) noexcept {
    static_assert(std::is_trivially_destructible_v<T>, "nothing in an arena is destroyed");
    if (count > free_.size() / sizeof(T)) return {};
    const auto bytes = take(count * sizeof(T), alignof(T));
    if (bytes.empty()) return {};
    T* first = reinterpret_cast<T*>(bytes.data());
    for (std::size_t i = 0; i < count; ++i)
      ::new (static_cast<void*>(first + i)) T();
    return {first, count};
  }

  /// One object, or nullptr.
  template <typename T, typename... Args>
  [[nodiscard]] T* make(Args&&... args) noexcept {
    static_assert(std::is_trivially_destructible_v<T>, "nothing in an arena is destroyed");
    const auto bytes = take(sizeof(T), alignof(T));
    if (bytes.empty()) return nullptr;
    return ::new (static_cast<void*>(bytes.data())) T(std::forward<Args>(args)...);
  }

 private:
  std::span<std::byte> free_;
};

}  // namespace patchbay::router
