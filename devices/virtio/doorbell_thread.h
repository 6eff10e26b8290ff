// The thread that serves devices which are no ports of the switch (disks, entropy, consoles): sleeps until a
// doorbell rings and calls the device behind it. One serves many devices of many machines; calls are short,
// what would block goes elsewhere (devices/block/io_pool.h). The switch's workers never come here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "devices/bus.h"

namespace patchbay::devices::virtio {

class DoorbellThread {
 public:
  /// Called on the thread after `fd` became readable and was read (an eventfd). Must not throw.
  using Serve = std::function<void()>;

  /// Starts the thread. Throws std::system_error.
  DoorbellThread();
  /// Precondition: everything added was removed.
  ~DoorbellThread();
  DoorbellThread(const DoorbellThread&) = delete;
  DoorbellThread& operator=(const DoorbellThread&) = delete;

  /// Any thread but this one. `fd` stays open until remove(). Throws std::system_error.
  void add(int fd, Serve serve);
  /// After the return `serve` neither runs nor will run.
  void remove(int fd) noexcept;

 private:
  void run() noexcept;

  FileDescriptor epoll_;
  FileDescriptor end_;
  std::mutex mutex_;  // entries_, and held while one is called
  std::map<int, Serve> entries_;
  std::thread thread_;
};

}  // namespace patchbay::devices::virtio
