// Frame counters of a port. "In" has one writer, the worker that pulls (a source each, where a port has
// several: source.h); "out" has as many as there are workers with frames for the port. Any number of readers.
//
// They balance whenever the port is at rest:
//   in.frames     == in.forwarded + sum(in.dropped)
//   out.offered   == out.delivered + sum(out.dropped)
// and over a segment: sum over ports of in.copies == sum over ports of out.offered.
// "in" is from the attached guest or host into the switch, "out" is towards it.
//
// A large frame that its sender left to be segmented counts once in in.frames and in.forwarded, as the sender
// counts it. Where it is handed on whole, it is one copy too. Where a destination does not take it, it counts
// as what the wire carries: every segment once in in.copies, and in out.offered and out.delivered (or a drop)
// of that destination. Bytes are those of the frames so counted.
//
// Where a port's sending is impaired, what the wire would carry is counted: each segment of a large frame,
// and each duplicate, is one in in.frames. A frame is counted when it leaves the impairment, so frames that
// it holds are in none of these numbers, or when the impairment drops it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "vswitch/drop_reason.h"

namespace patchbay::vswitch {

/// A statistic with a single writer: an increment is a plain load, add and store.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A statistic with several writers.
class SharedCounter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

using DropCounters = std::array<Counter, kDropReasons>;
using SharedDropCounters = std::array<SharedCounter, kDropReasons>;

struct PortCounters {
  struct alignas(64) In {
    Counter frames;  // pulled from the port, dropped ones included
    Counter bytes;
    Counter forwarded;  // offered to at least one other port
    Counter copies;     // times a frame was offered to another port (a flooded frame counts per port)
    DropCounters dropped;
    void drop(DropReason reason, std::uint64_t n = 1) noexcept {
      dropped[static_cast<std::size_t>(reason)].add(n);
    }
  } in;
  struct alignas(64) Out {
    SharedCounter offered;    // meant for this port
    SharedCounter delivered;  // in the destination's memory or the kernel's queue
    SharedCounter bytes;      // of delivered frames
    SharedDropCounters dropped;
    void drop(DropReason reason, std::uint64_t n = 1) noexcept {
      if (n != 0) dropped[static_cast<std::size_t>(reason)].add(n);
    }
  } out;
};

}  // namespace patchbay::vswitch
