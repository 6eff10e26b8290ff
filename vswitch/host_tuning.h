// How long a worker polls on before it sleeps, by what a wake-up costs on this host: some 3 us on bare metal,
// 10 in a virtual machine, 150 in an emulated one, where polling for a fixed time would end long before a
// guest can answer, and each answer would pay for a notification as well.
#pragma once

#include <chrono>

#include "vswitch/poll_set.h"

namespace patchbay::vswitch {

/// Processors that the calling thread may run on, at most CPU_SETSIZE.
[[nodiscard]] unsigned usable_cpus() noexcept;

/// From the write to an eventfd until a thread that slept for it runs: the lower quartile of nine tries,
/// some 2 ms in all. Any thread. Throws std::system_error if there is no eventfd or no thread to be had.
[[nodiscard]] std::chrono::nanoseconds measure_wake_up();

/// PollSet::Tuning::sleep_after where a wake-up takes that long and threads may run on `cpus` processors: ten
/// times as long, at least 50 us, at most 1 ms. On a single processor polling takes the time from those it
/// waits for, so there it is 50 us.
[[nodiscard]] std::chrono::nanoseconds polling_time(std::chrono::nanoseconds wake_up, unsigned cpus) noexcept;

/// The tuning for this host, measured at the first call. Any thread. Throws as measure_wake_up().
[[nodiscard]] const PollSet::Tuning& host_tuning();

}  // namespace patchbay::vswitch
