// A program that runs beside the engine and never longer: started with a few of our descriptors, watched by the loop,
// killed with this object or, whatever becomes of the engine, by the kernel.
//
// Threads: the engine's main thread, whose end ends the program too.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tools/engine/loop_watch.h"
#include "vswitch/file_descriptor.h"

namespace patchbay::tools::qemu {

class ChildProcess {
 public:
  /// Starts `words` (a path, then arguments) with /dev/null as input. It has the descriptors `inherited`, under the same
  /// numbers, and no other of ours. `on_exit` is called from the loop when it has ended by itself, and may destroy this;
  /// the text is such as "ended with status 1: could not open disk image". Throws std::system_error.
  ChildProcess(boost::asio::io_context& loop, std::vector<std::string> words, std::span<const int> inherited,
               std::function<void(const std::string&)> on_exit);
  /// Kills it and waits for its end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable when it has ended.
  [[nodiscard]] int pid_fd() const noexcept { return exit_->fd(); }
  /// SIGTERM.
  void ask_to_end() noexcept;

 private:
  void read_output();
  void ended();

  pid_t pid_ = -1;  // of a process that has not been waited for; else negative
  std::unique_ptr<LoopWatch> output_;
  std::unique_ptr<LoopWatch> exit_;
  std::string line_;       // the one it is printing
  std::string last_line_;  // before that, if neither empty nor a warning
  std::function<void(const std::string&)> on_exit_;
};

}  // namespace patchbay::tools::qemu
