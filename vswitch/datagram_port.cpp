#include "vswitch/datagram_port.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace patchbay::vswitch {

namespace {

// For frames under way in each direction: some 400 of 1,500 bytes. The kernel doubles it for its own
// bookkeeping.
constexpr int kBufferBytes = 512 * 1024;

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

void enlarge_buffer(int socket) noexcept {
  // Beyond net.core.wmem_max only with CAP_NET_ADMIN; with less room, peers wait sooner.
  if (::setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &kBufferBytes, sizeof kBufferBytes) != 0)
    (void)::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kBufferBytes, sizeof kBufferBytes);
}

}  // namespace

DatagramPort::DatagramPort(std::string port_name)
    : Port(std::move(port_name)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      buffers_(kBurstFrames * kSlotBytes, AnonymousMemory::Pages::on_use, "the buffers of '" + name() + "'") {
  if (!epoll_) fail("no epoll instance for '" + name() + "'; raise the limit of open files (ulimit -n)");
  for (std::size_t i = 0; i < slots_.size(); ++i)
    slots_[i].bytes = buffers_.data() + i * kSlotBytes;
}

FileDescriptor DatagramPort::connect() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends) != 0)
    fail("no sockets for '" + name() + "'; raise the limit of open files (ulimit -n)");
  FileDescriptor ours(ends[0]);
  FileDescriptor theirs(ends[1]);
  enlarge_buffer(ours.get());
  enlarge_buffer(theirs.get());
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, ours.get(), &event) != 0)
    fail("cannot watch the socket of '" + name() + "'");
  const std::lock_guard lock(mutex_);
  socket_ = std::move(ours);  // closing the old one takes it out of epoll_
  return theirs;
}

void DatagramPort::disconnect() noexcept {
  const std::lock_guard lock(mutex_);
  socket_.reset();
}

void DatagramPort::show(const Slot& slot, Burst& burst) noexcept {
  FrameView& view = burst.next();
  const std::size_t in_header = std::min(slot.length, kHeaderBytes);
  view.length = static_cast<std::uint32_t>(slot.length);
  view.offload = {};
  std::memcpy(view.header.data(), slot.bytes, in_header);
  std::size_t pieces = 0;
  if (slot.length > in_header) {
    burst.next_pieces()[0] = {slot.bytes + in_header, slot.length - in_header};
    pieces = 1;
  }
  burst.commit(pieces);
}

std::size_t DatagramPort::receive(std::size_t wanted) noexcept {
  // Also for the message headers, which push() uses as well.
  const std::lock_guard lock(mutex_);
  if (!socket_) return 0;
  for (std::size_t i = 0; i < wanted; ++i) {
    parts_[i] = {slots_[held_ + i].bytes, kSlotBytes};
    messages_[i] = {};
    messages_[i].msg_hdr.msg_iov = &parts_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
  // An error (the peer is gone) is reported once and means that nothing waits.
  const int count =
      ::recvmmsg(socket_.get(), messages_.data(), static_cast<unsigned>(wanted), MSG_DONTWAIT, nullptr);
  if (count <= 0) return 0;
  const std::size_t first = held_;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const std::size_t length = messages_[i].msg_len;
    if (length == 0 || length > kMaxFrameBytes) {
      counters.in.frames.add();
      counters.in.bytes.add(length);
      counters.in.drop(length == 0 ? DropReason::too_short : DropReason::too_long);
      continue;
    }
    // What is kept moves up to where dropped ones were.
    std::swap(slots_[held_].bytes, slots_[first + i].bytes);
    slots_[held_++].length = length;
  }
  return static_cast<std::size_t>(count);
}

void DatagramPort::pull(Burst& burst) {
  // Frames that a full destination left over come first.
  for (std::size_t i = 0; i < held_; ++i)
    show(slots_[i], burst);
  while (held_ < slots_.size() && burst.has_room()) {
    const std::size_t before = held_;
    const std::size_t wanted = slots_.size() - held_;
    const std::size_t received = receive(wanted);
    for (std::size_t i = before; i < held_; ++i)
      show(slots_[i], burst);
    if (received < wanted) return;
  }
}

void DatagramPort::release(std::size_t consumed) {
  // Slots rotate, so that the frames left over come first next time.
  if (consumed != held_)
    std::rotate(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(consumed), slots_.end());
  held_ -= consumed;
}

unsigned DatagramPort::gather(std::span<const FrameView* const> frames) noexcept {
  unsigned count = 0;
  std::size_t used = 0;
  for (const FrameView* frame : frames.first(std::min(frames.size(), messages_.size()))) {
    if (used + 1 + frame->tail.size() > parts_.size()) break;
    iovec* const begin = &parts_[used];
    const auto header = frame->header_bytes();
    parts_[used++] = {const_cast<std::byte*>(header.data()), header.size()};
    for (const Piece& piece : frame->tail)
      parts_[used++] = {const_cast<std::byte*>(piece.data()), piece.size()};
    messages_[count] = {};
    messages_[count].msg_hdr.msg_iov = begin;
    messages_[count].msg_hdr.msg_iovlen = 1 + frame->tail.size();
    ++count;
  }
  return count;
}

std::size_t DatagramPort::push(std::span<const FrameView* const> frames) {
  const std::lock_guard lock(mutex_);
  std::size_t done = 0;
  while (done < frames.size() && socket_) {
    const unsigned count = gather(frames.subspan(done));
    const int sent = ::sendmmsg(socket_.get(), messages_.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
      for (int i = 0; i < sent; ++i)
        counters.out.bytes.add(frames[done++]->length);
      counters.out.delivered.add(static_cast<std::uint64_t>(sent));
      continue;
    }
    switch (errno) {
      case EAGAIN:
        return done;
      case EINTR:
        continue;
      case ECONNREFUSED:  // nobody has the other end open
        counters.out.drop(DropReason::not_ready, frames.size() - done);
        return frames.size();
      case ENOMEM:
      case ENOBUFS:
        counters.out.drop(DropReason::no_buffer);
        break;
      case EMSGSIZE:
        counters.out.drop(DropReason::too_long);
        break;
      default:  // the peer has just gone, with data of ours unread
        counters.out.drop(DropReason::not_ready);
        break;
    }
    ++done;
  }
  counters.out.drop(DropReason::not_ready, frames.size() - done);
  return frames.size();
}

}  // namespace patchbay::vswitch
