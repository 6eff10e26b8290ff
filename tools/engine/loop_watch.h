// A descriptor in the engine's loop: calls back when it can be read, and once when it can be written again. May go at
// any time, also from within its own calls: none comes afterwards.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

class LoopWatch {
 public:
  /// Owns `fd`. `readable` is called as long as it is, an end of file included. Throws std::system_error.
  LoopWatch(boost::asio::io_context& loop, vswitch::FileDescriptor fd, std::function<void()> readable);
  ~LoopWatch();
  LoopWatch(const LoopWatch&) = delete;
  LoopWatch& operator=(const LoopWatch&) = delete;

  [[nodiscard]] int fd() const noexcept;
  /// Calls `writable` once; the latest one counts.
  void when_writable(std::function<void()> writable);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// A second descriptor for the same thing, close-on-exec. Throws std::system_error.
[[nodiscard]] vswitch::FileDescriptor duplicate(int fd);

}  // namespace patchbay::tools
