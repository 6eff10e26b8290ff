#include "devices/virtio/doorbell_thread.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace patchbay::devices::virtio {
namespace {

void watch(int epoll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "cannot watch a device's doorbell");
}

}  // namespace

DoorbellThread::DoorbellThread()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), end_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!epoll_ || !end_) {
    throw std::system_error(errno, std::generic_category(),
                            "cannot serve devices; raise the limit of open files (ulimit -n)");
  }
  watch(epoll_.get(), end_.get());
  // Signals are for the main thread.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "doorbells");
}

DoorbellThread::~DoorbellThread() {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(end_.get(), &one, sizeof one));
  thread_.join();
}

void DoorbellThread::add(int fd, Serve serve) {
  {
    const std::lock_guard lock(mutex_);
    entries_[fd] = std::move(serve);
  }
  try {
    watch(epoll_.get(), fd);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    entries_.erase(fd);
    throw;
  }
}

void DoorbellThread::remove(int fd) noexcept {
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  const std::lock_guard lock(mutex_);
  entries_.erase(fd);
}

void DoorbellThread::run() noexcept {
  std::array<epoll_event, 16> events;
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == end_.get()) return;
      const std::lock_guard lock(mutex_);
      const auto entry = entries_.find(fd);
      if (entry == entries_.end()) continue;  // removed since; the descriptor may be somebody else's by now
      std::uint64_t rings;
      static_cast<void>(!::read(fd, &rings, sizeof rings));
      entry->second();
    }
  }
}

}  // namespace patchbay::devices::virtio
