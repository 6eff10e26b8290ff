#include "devices/vhost_user/endpoint.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace patchbay::devices::vhost_user {
namespace {

constexpr long kRetryNanoseconds = 200'000'000;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw std::runtime_error("vhost-user socket path '" + path + "' does not have 1 to " +
                             std::to_string(sizeof address.sun_path - 1) + " bytes; use another path");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

FileDescriptor make_socket() {
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) throw_errno("cannot create a vhost-user socket; raise the limit of open files (ulimit -n)");
  return fd;
}

bool connects(const FileDescriptor& fd, const sockaddr_un& address) {
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

Endpoint::Endpoint(std::string path, Role role, VhostUserPort& port)
    : path_(std::move(path)), role_(role), port_(port), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw_errno("cannot create an epoll instance; raise the limit of open files (ulimit -n)");
  watch(port_.attention_fd());
  if (role_ == Role::server) {
    listen();
    return;
  }
  static_cast<void>(address_of(path_));
  timer_.reset(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer_) throw_errno("cannot create a timer; raise the limit of open files (ulimit -n)");
  watch(timer_.get());
  try_to_connect();
}

Endpoint::~Endpoint() {
  session_.reset();
  if (listener_) ::unlink(path_.c_str());
}

void Endpoint::watch(int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("cannot watch " + path_);
}

void Endpoint::listen() {
  const sockaddr_un address = address_of(path_);
  FileDescriptor socket = make_socket();
  if (struct stat status{}; ::lstat(path_.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) {
      throw std::runtime_error(path_ + " exists and is no socket; remove it or use another path");
    }
    if (connects(make_socket(), address)) {
      throw std::runtime_error(path_ + " belongs to another running program; use another path");
    }
    ::unlink(path_.c_str());
  }
  // Mode 0600 from the first moment: the mode of the descriptor limits that of the name bind() creates.
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw_errno("cannot create the vhost-user socket " + path_ + " (does its directory exist?)");
  }
  listener_ = std::move(socket);
  if (::listen(listener_.get(), 4) != 0) throw_errno("cannot listen on " + path_);
  watch(listener_.get());
}

void Endpoint::accept() {
  FileDescriptor socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return;
  // One that hung up is followed by the next, whichever of the two events was reported first.
  if (session_ != nullptr) serve_session();
  if (session_ == nullptr) return begin(std::move(socket));
  last_error_ = "a second front end tried to connect; one at a time";
}

void Endpoint::try_to_connect() {
  std::uint64_t expirations = 0;
  static_cast<void>(!::read(timer_.get(), &expirations, sizeof expirations));
  if (session_ != nullptr) return;
  FileDescriptor socket = make_socket();
  if (connects(socket, address_of(path_))) return begin(std::move(socket));
  retry_later();
}

void Endpoint::retry_later() {
  itimerspec again{};
  again.it_value.tv_nsec = kRetryNanoseconds;
  ::timerfd_settime(timer_.get(), 0, &again, nullptr);
}

void Endpoint::begin(FileDescriptor socket) {
  session_ = std::make_unique<Session>(std::move(socket), port_);
  watch(session_->fd());
  ++connections_;
  last_error_.clear();
}

void Endpoint::end(const std::string& why) {
  session_.reset();
  last_error_ = why;
  if (role_ == Role::client) retry_later();
}

void Endpoint::serve_session() {
  try {
    session_->on_readable();
  } catch (const std::runtime_error& error) {
    end(error.what());
  }
}

void Endpoint::handle() {
  std::array<epoll_event, 4> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const int fd = events[static_cast<std::size_t>(i)].data.fd;
    if (fd == port_.attention_fd()) {
      if (session_ == nullptr) {
        static_cast<void>(port_.take_error());
        continue;
      }
      try {
        session_->on_attention();
      } catch (const std::runtime_error& error) {
        end(error.what());
      }
    } else if (listener_ && fd == listener_.get()) {
      accept();
    } else if (timer_ && fd == timer_.get()) {
      try_to_connect();
    } else if (session_ != nullptr && fd == session_->fd()) {
      serve_session();
    }
  }
}

Endpoint::State Endpoint::state() const {
  State state{session_ != nullptr, connections_, 0, last_error_};
  if (session_ != nullptr) {
    state.features = session_->features();
    if (!session_->complaint().empty()) state.last_error = session_->complaint();
  }
  return state;
}

}  // namespace patchbay::devices::vhost_user
