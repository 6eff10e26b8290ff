// The ceiling that run compares with: frames copied once from one guest's transmit ring to the other's
// receive ring and nothing else done. No look-up, no counters, no checks, no notifications, split rings
// without event indices or mergeable buffers; a guest could crash it. Bursts of 64, buffers asked for ahead.
#pragma once

#include <string>
#include <vector>

namespace patchbay::bench {

/// Serves two sockets on the calling thread and copies on `cpu` until `stop_fd` is readable. Throws
/// std::runtime_error when a peer does what the loop does not understand.
void run_bare_loop(const std::vector<std::string>& sockets, int cpu, int stop_fd);

}  // namespace patchbay::bench
