// A mutex for the data path: what it guards takes a microsecond or less, so a thread that finds it taken
// spins a while before it lets the kernel put it to sleep. Where the holder has lost its core, the sleep
// keeps the waiter from burning the other one.
//
// Meets Lockable, for std::lock_guard and std::unique_lock.
#pragma once

#include <pthread.h>

namespace patchbay::vswitch {

class BriefMutex {
 public:
  BriefMutex() noexcept {
    pthread_mutexattr_t attributes;
    ::pthread_mutexattr_init(&attributes);
    ::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    ::pthread_mutex_init(&mutex_, &attributes);
    ::pthread_mutexattr_destroy(&attributes);
  }
  ~BriefMutex() { ::pthread_mutex_destroy(&mutex_); }
  BriefMutex(const BriefMutex&) = delete;
  BriefMutex& operator=(const BriefMutex&) = delete;

  void lock() noexcept { ::pthread_mutex_lock(&mutex_); }
  void unlock() noexcept { ::pthread_mutex_unlock(&mutex_); }
  [[nodiscard]] bool try_lock() noexcept { return ::pthread_mutex_trylock(&mutex_) == 0; }

 private:
  pthread_mutex_t mutex_;
};

}  // namespace patchbay::vswitch
