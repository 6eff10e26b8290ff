#include "vswitch/poll_set.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace patchbay::vswitch {

namespace {

timespec to_timespec(PollSet::Duration duration) noexcept {
  constexpr std::int64_t kSecond = 1'000'000'000;
  const std::int64_t count = std::max<std::int64_t>(duration.count(), 0);
  return {count / kSecond, count % kSecond};
}

}  // namespace

PollSet::PollSet(Tuning tuning, int interrupt_fd) : tuning_(tuning), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  if (interrupt_fd < 0) return;
  epoll_event event{};
  event.events = EPOLLIN;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, interrupt_fd, &event) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot watch the worker's interrupt descriptor");
  }
}

void PollSet::add(Segment& segment, PortIndex index, std::size_t source, Clock::time_point now) {
  auto entry =
      std::make_unique<Entry>(Entry{&segment, index, source, &segment.port(index).source(source), now});
  if (entry->source->wake_fd() >= 0) {
    if (!watch(*entry, EPOLL_CTL_ADD, 0)) {
      throw std::system_error(errno, std::generic_category(),
                              segment.port(index).name() + ": cannot watch its wake-up descriptor");
    }
    entry->watched = true;
  }
  active_.reserve(entries_.size() + 1);
  waiting_.reserve(entries_.size() + 1);
  entry->source->disarm();
  active_.push_back(entry.get());
  entries_.push_back(std::move(entry));
}

void PollSet::remove(const Segment& segment, PortIndex index) {
  const auto belongs = [&](const Entry& entry) { return entry.segment == &segment && entry.index == index; };
  for (const auto& entry : entries_) {
    if (!belongs(*entry)) continue;
    if (entry->watched) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, entry->source->wake_fd(), nullptr);
    if (entry->asleep) entry->source->disarm();
  }
  const auto points_to_it = [&](const Entry* entry) { return belongs(*entry); };
  std::erase_if(active_, points_to_it);
  std::erase_if(waiting_, points_to_it);
  std::erase_if(entries_, [&](const auto& entry) { return belongs(*entry); });
}

bool PollSet::pass(Workspace& workspace, Clock::time_point now) {
  bool moved = false;
  for (std::size_t i = 0; i < active_.size();) {
    Entry& entry = *active_[i];
    bool leaves = false;
    switch (entry.segment->forward(entry.index, workspace, entry.number)) {
      case Segment::Outcome::progressed:
        moved = true;
        entry.last_moved = now;
        entry.retry_delay = Duration{0};
        break;
      case Segment::Outcome::idle:
        leaves = stop_polling_if_idle(entry, now);
        break;
      case Segment::Outcome::stalled:
        leaves = stop_polling_if_stuck(entry, now);
        break;
    }
    if (leaves) {
      active_[i] = active_.back();
      active_.pop_back();
    } else {
      ++i;
    }
  }
  return moved;
}

bool PollSet::stop_polling_if_idle(Entry& entry, Clock::time_point now) {
  if (!entry.watched || now - entry.last_moved < tuning_.sleep_after) return false;
  if (entry.source->arm()) {
    entry.source->disarm();
    return false;
  }
  // Level-triggered: what arrived since arm() is reported at once.
  if (!watch(entry, EPOLL_CTL_MOD, EPOLLIN)) {
    entry.source->disarm();
    return false;
  }
  entry.asleep = true;
  return true;
}

bool PollSet::stop_polling_if_stuck(Entry& entry, Clock::time_point now) {
  if (entry.retry_delay == Duration{0} && now - entry.last_moved < tuning_.first_retry) return false;
  entry.retry_delay = std::clamp(entry.retry_delay * 2, tuning_.first_retry, tuning_.last_retry);
  entry.retry_at = now + entry.retry_delay;
  waiting_.push_back(&entry);
  return true;
}

void PollSet::wait(bool block, Clock::time_point now) {
  resume_due(now);
  timespec timeout{};
  const timespec* limit = &timeout;
  if (block && active_.empty()) {
    const auto next = std::min_element(waiting_.begin(), waiting_.end(), [](const Entry* a, const Entry* b) {
      return a->retry_at < b->retry_at;
    });
    if (next == waiting_.end()) {
      limit = nullptr;
    } else {
      timeout = to_timespec((*next)->retry_at - now);
    }
  }

  std::array<epoll_event, 64> events;
  const int count =
      ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), limit, nullptr);
  if (limit != &timeout || timeout.tv_sec != 0 || timeout.tv_nsec != 0) {
    now = Clock::now();
    resume_due(now);
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    auto* entry = static_cast<Entry*>(event.data.ptr);
    if (entry == nullptr || !entry->asleep) continue;
    if ((event.events & EPOLLIN) == 0) {
      // An error that would be reported again at once, such as a TAP whose interface was deleted.
      entry->source->disarm();
      entry->asleep = false;
      entry->retry_at = now + tuning_.broken_retry;
      waiting_.push_back(entry);
      continue;
    }
    activate(*entry, now);
  }
}

void PollSet::activate(Entry& entry, Clock::time_point now) {
  if (std::exchange(entry.asleep, false)) entry.source->disarm();
  entry.last_moved = now;
  active_.push_back(&entry);
}

void PollSet::resume_due(Clock::time_point now) {
  for (std::size_t i = 0; i < waiting_.size();) {
    if (waiting_[i]->retry_at > now) {
      ++i;
      continue;
    }
    activate(*waiting_[i], now);
    waiting_[i] = waiting_.back();
    waiting_.pop_back();
  }
}

bool PollSet::watch(Entry& entry, int operation, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events | EPOLLONESHOT;
  event.data.ptr = &entry;
  return ::epoll_ctl(epoll_.get(), operation, entry.source->wake_fd(), &event) == 0;
}

}  // namespace patchbay::vswitch
