// The one interface through which packets enter and leave the switch. Device models, TAPs, generators and
// sinks implement it; nothing else of the switch is visible to them.
//
// Threads: a port's sources, of which most ports are the only one themselves, belong to a worker each
// (source.h). push() and accepts() are called by every worker that has frames for the port, at the same time
// as each other and as the sources: a port does its own locking inside, per burst. Nothing here throws or
// allocates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "vswitch/counters.h"
#include "vswitch/frame.h"
#include "vswitch/offload_set.h"
#include "vswitch/source.h"

namespace patchbay::vswitch {

class Port : public Source {
 public:
  /// `name` is the link end in listings and captures: "r1:eth0".
  explicit Port(std::string name)
      : Source(own_counters_.in), counters(own_counters_), counted_(*this), name_(std::move(name)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Constant for the life of the port, and at least one: source(0) is the port itself.
  [[nodiscard]] virtual std::size_t source_count() const noexcept { return 1; }
  /// Precondition: number < source_count().
  [[nodiscard]] virtual Source& source([[maybe_unused]] std::size_t number) noexcept { return *this; }

  /// Copies frames into the destination, in order, with at most one notification. Returns how many from the
  /// front were dealt with: delivered (counted in out.delivered, out.bytes) or found undeliverable and
  /// dropped (counted with their reason). The rest found no room; the caller decides whether they wait or are
  /// dropped. The caller counts out.offered.
  [[nodiscard]] virtual std::size_t push(std::span<const FrameView* const> frames) = 0;

  /// Offloads that push() takes as they are; the switch completes every other frame first. Asked before each
  /// burst that carries offloads; may change when a guest negotiates features. Nothing is asked of a port
  /// that takes none: it sees complete frames only.
  [[nodiscard]] virtual OffloadSet accepts() const noexcept { return {}; }

  /// Carrier as the attached side sees it (a guest's link status, a TAP's carrier). Any thread but the data
  /// path.
  virtual void set_link(bool up) = 0;

  /// Whether several workers may push at the same time. Set when the port is attached, before frames come.
  void set_shared(bool shared) noexcept { shared_ = shared; }
  [[nodiscard]] bool shared() const noexcept { return shared_; }

  /// `in` counts source(0); the others have their own.
  PortCounters& counters;
  /// The port whose sources' counters tell all that entered the switch here: this one, or the one it stands
  /// in for.
  [[nodiscard]] Port& counted() noexcept { return counted_; }

 protected:
  /// A port that stands in for another at the same link end: it has that port's name and counts where that
  /// port does. The other one must outlive it.
  explicit Port(Port& other)
      : Source(other.counters.in), counters(other.counters), counted_(other.counted_), name_(other.name_) {}

 private:
  PortCounters own_counters_;  // unused by a stand-in
  Port& counted_;
  std::string name_;
  bool shared_ = true;
};

}  // namespace patchbay::vswitch
