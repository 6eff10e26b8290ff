#include "devices/block/io_pool.h"

#include <pthread.h>
#include <signal.h>

namespace patchbay::devices::block {

IoPool::IoPool(unsigned threads) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited: signals are for the main thread
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), "disk");
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

IoPool::~IoPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_)
    thread.join();
}

void IoPool::submit(Job& job) noexcept {
  {
    const std::lock_guard lock(mutex_);
    job.next_ = nullptr;
    (first_ == nullptr ? first_ : last_->next_) = &job;
    last_ = &job;
  }
  changed_.notify_one();
}

void IoPool::work() noexcept {
  for (;;) {
    Job* job = nullptr;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return first_ != nullptr || ending_; });
      if (first_ == nullptr) return;
      job = first_;
      first_ = job->next_;
    }
    job->run();
  }
}

}  // namespace patchbay::devices::block
