// What compiler and C++ library expect of the environment and a freestanding guest has to bring along: the
// memory functions, and an end for everything that cannot happen without exceptions, heap and operating
// system.
//
// The optimizer recognizes loops like those below and would replace them by calls to themselves;
// CMakeLists.txt tells it not to in this file.

#include <bits/functexcept.h>

#include <cstddef>
#include <cstdint>
#include <new>

#include "appliances/router/guest/panic.h"

using patchbay::router::guest::panic;

extern "C" {

void* memcpy(void* __restrict destination, const void* __restrict source, std::size_t count) {
  void* to = destination;
  asm volatile("rep movsb" : "+D"(to), "+S"(source), "+c"(count) : : "memory");
  return destination;
}

void* memmove(void* destination, const void* source, std::size_t count) {
  if (reinterpret_cast<std::uintptr_t>(destination) - reinterpret_cast<std::uintptr_t>(source) >= count) {
    return memcpy(destination, source, count);
  }
  auto* to = static_cast<unsigned char*>(destination);
  const auto* from = static_cast<const unsigned char*>(source);
  while (count-- > 0)
    to[count] = from[count];
  return destination;
}

void* memset(void* destination, int value, std::size_t count) {
  void* to = destination;
  asm volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
  return destination;
}

int memcmp(const void* left, const void* right, std::size_t count) {
  const auto* a = static_cast<const unsigned char*>(left);
  const auto* b = static_cast<const unsigned char*>(right);
  for (std::size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return a[i] - b[i];
  }
  return 0;
}

int bcmp(const void* left, const void* right, std::size_t count) {  // what clang makes of memcmp() == 0
  return memcmp(left, right, count);
}

void* memchr(const void* bytes, int value, std::size_t count) {
  const auto* from = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = 0; i < count; ++i) {
    if (from[i] == static_cast<unsigned char>(value)) return const_cast<unsigned char*>(from + i);
  }
  return nullptr;
}

std::size_t strlen(const char* text) {
  std::size_t length = 0;
  while (text[length] != '\0')
    ++length;
  return length;
}

void __cxa_pure_virtual() {
  panic("pure virtual function called");
}
int __cxa_atexit(void (*)(void*), void*, void*) {
  return 0;
}  // static objects live for ever
void abort() {
  panic("abort");
}
void* __dso_handle = nullptr;

}  // extern "C"

namespace std {
void __throw_bad_alloc() {
  panic("bad_alloc");
}
void __throw_bad_array_new_length() {
  panic("bad_array_new_length");
}
void __throw_bad_function_call() {
  panic("bad_function_call");
}
void __throw_bad_optional_access() {
  panic("bad_optional_access");
}
void __throw_invalid_argument(const char* what) {
  panic(what);
}
void __throw_length_error(const char* what) {
  panic(what);
}
void __throw_logic_error(const char* what) {
  panic(what);
}
void __throw_out_of_range(const char* what) {
  panic(what);
}
void __throw_out_of_range_fmt(const char* what, ...) {
  panic(what);
}
void __glibcxx_assert_fail(const char*, int, const char* function, const char*) noexcept {
  panic(function);
}
void terminate() noexcept {
  panic("terminate");
}
}  // namespace std

// Called by destructors of types with virtual ones, never for real: nothing is ever deleted.
void operator delete(void*) noexcept {
  panic("operator delete");
}
void operator delete(void*, std::size_t) noexcept {
  panic("operator delete");
}
void operator delete(void*, std::align_val_t) noexcept {
  panic("operator delete");
}
void operator delete(void*, std::size_t, std::align_val_t) noexcept {
  panic("operator delete");
}
