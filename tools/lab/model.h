// A lab as its file describes it, after inheritance, expansion and validation: everything that deploying
// needs, with no question left open. Plain values; made by load_lab() and never changed afterwards.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tools/disk_boot/disk_boot.h"
#include "tools/lab/address.h"
#include "tools/lab/diagnostics.h"

namespace patchbay::tools {

inline constexpr unsigned kDefaultMtu = 9500;  // containerlab's; what both ends of a link get
inline constexpr unsigned kEthdevMtu = 1500;   // what a link of an ethdev gets: that of networks outside
inline constexpr unsigned kMaxEthdevMtu = 9700;
inline constexpr unsigned kMinMtu = 68;        // RFC 791
inline constexpr unsigned kMaxMtu = 65521;     // what Linux lets a TAP interface have

enum class NodeKind {
  router,    // Patchbay's router appliance, a virtual machine
  vm,        // a virtual machine with an operating system of the user's
  linux,     // a Linux network namespace that sees the host's programs
  external,  // a machine or program that the user starts and that joins over vhost-user
  ethdev,    // a DPDK device: an interface of the host, a pcap file, another DPDK program
  bridge,    // a learning segment; its interfaces are the names of its ports
};
[[nodiscard]] std::string_view to_string(NodeKind kind);

/// The card a virtual machine sees.
enum class NicModel { virtio_net, e1000 };
[[nodiscard]] std::string_view to_string(NicModel model);
inline constexpr unsigned kMaxNicQueues = 16;  // queue pairs of a card

/// What runs a vm.
enum class VmEngine {
  automatic,  // the host decides
  kvm,        // our own virtual machine monitor
  qemu,       // a QEMU that emulates the processor
};
[[nodiscard]] std::string_view to_string(VmEngine engine);

/// Where the peer of an external node's interface is met.
struct VhostUser {
  bool client = false;           // connect to a socket that the peer listens on; else listen
  std::filesystem::path socket;  // absolute; empty: one in the lab's run directory
};

struct Interface {
  std::string name;  // at most 15 characters, as Linux demands
  MacAddress mac{};  // unused at a bridge port
  unsigned mtu = kDefaultMtu;
  NicModel nic = NicModel::virtio_net;  // of a virtual machine
  unsigned queues = 1;                  // queue pairs, of a virtual machine or an external node
  VhostUser vhost_user;                 // of an external node
  std::vector<InterfaceAddress> ipv4;
  std::vector<InterfaceAddress> ipv6;
  std::size_t link = 0;  // index into Lab::links
  Position at;           // of the endpoint that names it
};

/// The configuration a node boots with.
struct StartupConfig {
  std::string name;  // the path as messages show it; "<lab file>" if the text stands in the lab file
  std::string text;
  std::size_t first_line = 0;  // text in the lab file: the line before its first one; 0 for a file of its own
};

struct Bind {
  std::filesystem::path source;  // absolute
  std::filesystem::path target;  // absolute, in the node
  bool read_only = false;
};

/// How to find out whether a node is ready; containerlab's (that is, Docker's) meaning.
struct HealthCheck {
  std::vector<std::string> command;           // argv; `CMD-SHELL` became {"sh", "-c", ...}
  std::chrono::microseconds start_period{0};  // failures within it do not count
  std::chrono::microseconds interval{std::chrono::seconds(1)};
  std::chrono::microseconds timeout{std::chrono::seconds(10)};
  unsigned retries = 3;  // consecutive failures that make the node unhealthy
  Position at;
};

/// A disk of a vm, in the order of the list /dev/vda, /dev/vdb, ...
struct Disk {
  std::filesystem::path source;  // absolute
  bool read_only = false;
  bool copy_on_write = false;  // writes go to an overlay that ends with the lab
};

/// What a vm boots: a kernel, with what it needs.
struct VmBoot {
  std::filesystem::path kernel;  // absolute; bzImage or ELF
  std::filesystem::path initrd;  // absolute; empty: none
  std::string command_line;      // complete
  std::vector<Disk> disks;
  // The first disk holds the kernel, and the initrd unless `initrd` names another; `kernel` is that disk's image.
  std::optional<disk_boot::DiskBoot> on_disk;
  std::chrono::microseconds timeout{
      std::chrono::seconds(120)};  // until its agent answers, where something needs it
  Position at;                     // of `image`
};

struct Node {
  std::string name;
  NodeKind kind = NodeKind::linux;
  std::string type;
  std::string group;
  unsigned cpu = 1;                             // vCPUs of a virtual machine
  std::optional<std::uint64_t> memory_bytes;    // nothing: the kind's default
  std::optional<VmBoot> boot;                   // of a vm, like `engine`
  VmEngine engine = VmEngine::automatic;
  std::string devargs;                          // of an ethdev: DPDK's driver and its arguments
  std::optional<StartupConfig> startup_config;  // as written; router_boot_config() completes it
  std::vector<std::string> exec;                // run by `sh -c` after the links are up, in order
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> labels;
  std::vector<Bind> binds;
  std::optional<HealthCheck> healthcheck;
  std::vector<Interface>
      interfaces;  // in natural order of their names: eth2 before eth10; a VM's NICs in this order
  Position at;

  [[nodiscard]] const Interface* find_interface(std::string_view interface_name) const;
};

/// Impairment of one direction of a link.
struct Netem {
  std::chrono::microseconds delay{0};
  std::chrono::microseconds jitter{0};
  double loss_percent = 0;
  double reorder_percent = 0;
  double duplicate_percent = 0;
  double corrupt_percent = 0;
  std::uint64_t rate_bits = 0;  // per second; 0: unlimited
  friend bool operator==(const Netem&, const Netem&) = default;
};

struct Endpoint {
  std::size_t node = 0;       // index into Lab::nodes
  std::size_t interface = 0;  // index into Node::interfaces
};

struct Link {
  Endpoint a;
  Endpoint z;
  unsigned mtu = kDefaultMtu;
  bool lossless = false;  // the source waits where the destination has no room
  Netem a_to_z;
  Netem z_to_a;
  std::map<std::string, std::string> labels;
  Position at;
};

/// `ping` run in `from`.
struct PingCheck {
  std::size_t from = 0;  // index into Lab::nodes, a linux or vm node
  IpAddress to;
  unsigned count = 3;
  unsigned payload_bytes = 56;
  bool dont_fragment = false;
  std::chrono::microseconds interval{std::chrono::milliseconds(200)};
  double max_loss_percent = 0;
};

/// `traceroute` run in `from`: the destination answers, at hop `hops` if that is given, and the routers in
/// `via` appear in this order.
struct TracerouteCheck {
  std::size_t from = 0;
  IpAddress to;
  std::optional<unsigned> hops;  // 1: the destination is the first to answer
  std::vector<IpAddress> via;
};

/// A shell command run in `node`.
struct ExecCheck {
  std::size_t node = 0;
  std::string command;  // for `sh -c`
  int exit_status = 0;
  std::vector<std::string> stdout_contains;
  std::vector<std::string> stdout_excludes;
};

/// One thing that `patchbay test` finds out about a running lab.
struct Check {
  std::string name;  // "ping h1 -> 10.0.2.2", or as the file says
  std::chrono::microseconds within{
      std::chrono::seconds(10)};  // it is repeated until it passes or this has gone by
  std::variant<PingCheck, TracerouteCheck, ExecCheck> action;
  Position at;
};

struct Lab {
  std::string name;
  std::string prefix;
  std::filesystem::path file;
  std::vector<Node> nodes;    // in the file's order
  std::vector<Link> links;    // in the file's order
  std::vector<Check> checks;  // of the topology, then of nodes, then of links

  [[nodiscard]] const Node* find_node(std::string_view node_name) const;
  /// "<prefix>-<lab>-<node>", what the node is called outside the lab; with an empty prefix the node's name
  /// alone.
  [[nodiscard]] std::string full_name(const Node& node) const;
};

}  // namespace patchbay::tools
