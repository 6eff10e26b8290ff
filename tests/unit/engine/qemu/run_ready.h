// Lets a loop do what is ready, by work done and not by time: a loaded machine may not run a test for longer
// than any time it would wait.
#pragma once

#include <boost/asio/io_context.hpp>

namespace patchbay::tools::qemu::testing {

/// Runs what is ready, at most a hundred handlers: one that is called as long as nobody reads ends too.
inline void run_ready(boost::asio::io_context& loop) {
  loop.restart();
  for (int handlers = 0; handlers < 100 && loop.poll_one() != 0; ++handlers) {
  }
}

}  // namespace patchbay::tools::qemu::testing
