// What QEMU is started with for a vm of the lab: the same machine, as the guest sees it, that our own VMM builds, on
// QEMU's board q35.
//
// Descriptors are numbers in the QEMU process. Nothing here touches the host.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/lab/model.h"

namespace patchbay::tools::qemu {

struct Card {
  NicModel model = NicModel::virtio_net;
  MacAddress mac{};
  unsigned mtu = kDefaultMtu;         // virtio-net tells it to the guest
  unsigned queues = 1;                // pairs, of virtio-net
  std::filesystem::path vhost_user;   // virtio-net: the socket on which its back end listens
  int datagrams = -1;                 // others: a datagram socket, one frame a datagram
};

struct Drive {
  int image = -1;  // raw
  bool is_block_device = false;
  bool read_only = false;
  int overlay = -1;  // a qcow2 image that takes what is written; negative: the raw image is written in place
  std::string serial;
};

struct Machine {
  std::string name;
  unsigned cpus = 1;
  std::uint64_t memory_bytes = 0;
  std::string kernel;        // file
  std::string initrd;        // file; empty: none
  std::string kernel_arguments;
  std::vector<Card> cards;   // the first has the lowest PCI address, and so on
  std::vector<Drive> drives;
  int console = -1;          // stream sockets
  int monitor = -1;
  int agent = -1;
};

/// The name of card `index` at the monitor.
[[nodiscard]] std::string card_name(std::size_t index);

inline constexpr char kAgentPort[] = "agent";  // its id in events

/// Arguments behind the program's name. A machine that resets itself ends. Throws std::runtime_error if the board has
/// not enough slots.
[[nodiscard]] std::vector<std::string> command_line(const Machine& machine);

/// The name under which a process can open its descriptor `fd`.
[[nodiscard]] std::string file_of(int fd);

}  // namespace patchbay::tools::qemu
