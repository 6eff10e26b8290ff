// A few threads that carry out blocking disk requests, shared by all block devices of an engine. Never the
// switch's workers, never a vCPU.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace patchbay::devices::block {

class IoPool {
 public:
  /// A piece of work; the owner keeps it alive until its run() has begun, and may free it from then on.
  class Job {
   public:
    virtual ~Job() = default;
    /// On a thread of the pool.
    virtual void run() noexcept = 0;

   private:
    friend class IoPool;
    Job* next_ = nullptr;
  };

  /// Throws std::system_error.
  explicit IoPool(unsigned threads = 2);
  /// Runs what waits, then ends the threads.
  ~IoPool();
  IoPool(const IoPool&) = delete;
  IoPool& operator=(const IoPool&) = delete;

  /// Any thread. In order of submission, several at a time. Precondition: `job` waits in no pool.
  void submit(Job& job) noexcept;

 private:
  void work() noexcept;

  std::mutex mutex_;
  std::condition_variable changed_;
  Job* first_ = nullptr;
  Job* last_ = nullptr;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace patchbay::devices::block
