// Runs one action on many things on a few threads, for actions that mostly wait for the kernel: a virtual machine's
// creation and end wait for grace periods in it, again and again, and others' waits can overlap.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace patchbay::tools {

/// Calls `action(i)` for each i below `count`, the calling thread being one of at most `threads`. When one throws, no
/// more are begun; the first exception is rethrown when all that were begun have ended.
template <typename Action>
void side_by_side(std::size_t count, std::size_t threads, const Action& action) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < count;) {
      try {
        action(i);
      } catch (...) {
        next.store(count);
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
      }
    }
  };
  std::vector<std::thread> helpers;
  try {
    for (std::size_t i = 1; i < std::min(count, threads); ++i)
      helpers.emplace_back(work);
  } catch (const std::system_error&) {
    // No more threads to be had: fewer do as well.
  }
  work();
  for (std::thread& helper : helpers)
    helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace patchbay::tools
