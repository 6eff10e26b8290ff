// The transmit queue of a card's queue pair other than the first, which is the card itself (vswitch/port.h).
#pragma once

#include <cstddef>

#include "vswitch/source.h"

namespace patchbay::devices::net {

/// `Card` has pull_from(), release_to(), wake_fd(), arm() and disarm() for the pair of a number.
template <typename Card>
class PairSource final : public vswitch::Source {
 public:
  PairSource(Card& card, unsigned pair) noexcept : Source(in_), card_(card), pair_(pair) {}

  void pull(vswitch::Burst& burst) override { card_.pull_from(pair_, burst); }
  void release(std::size_t consumed) override { card_.release_to(pair_, consumed); }
  [[nodiscard]] int wake_fd() const noexcept override { return card_.wake_fd(pair_); }
  [[nodiscard]] bool arm() override { return card_.arm(pair_); }
  void disarm() override { card_.disarm(pair_); }

 private:
  vswitch::PortCounters::In in_;
  Card& card_;
  const unsigned pair_;
};

}  // namespace patchbay::devices::net
