// The device status register (Virtio 1.2, 2.1) and the steps a driver may take through it (3.1.1), as one
// table.
#pragma once

#include <array>
#include <cstdint>

namespace patchbay::devices::virtio {

using Status = std::uint8_t;

inline constexpr Status kAcknowledge = 1;
inline constexpr Status kDriver = 2;
inline constexpr Status kDriverOk = 4;
inline constexpr Status kFeaturesOk = 8;
inline constexpr Status kNeedsReset = 64;
inline constexpr Status kFailed = 128;

struct StatusStep {
  Status from;
  Status to;
};

/// Every change of status a driver may ask for, reset (writing 0) apart. 2.1.1: "The driver MUST NOT clear a
/// device status bit"; 3.1.1: the order. Some firmware sets the first two bits at once.
inline constexpr std::array kStatusSteps{
    StatusStep{0, kAcknowledge},
    StatusStep{0, kAcknowledge | kDriver},
    StatusStep{kAcknowledge, kAcknowledge | kDriver},
    StatusStep{kAcknowledge | kDriver, kAcknowledge | kDriver | kFeaturesOk},
    StatusStep{kAcknowledge | kDriver | kFeaturesOk, kAcknowledge | kDriver | kFeaturesOk | kDriverOk},
    StatusStep{0, kFailed},
    StatusStep{kAcknowledge, kAcknowledge | kFailed},
    StatusStep{kAcknowledge | kDriver, kAcknowledge | kDriver | kFailed},
    StatusStep{kAcknowledge | kDriver | kFeaturesOk, kAcknowledge | kDriver | kFeaturesOk | kFailed},
    StatusStep{kAcknowledge | kDriver | kFeaturesOk | kDriverOk,
               kAcknowledge | kDriver | kFeaturesOk | kDriverOk | kFailed},
};

/// NEEDS_RESET is the device's own bit and not part of the steps: callers mask it out.
constexpr bool is_legal_step(Status from, Status to) noexcept {
  for (const StatusStep& step : kStatusSteps) {
    if (step.from == from && step.to == to) return true;
  }
  return false;
}

}  // namespace patchbay::devices::virtio
