// A `linux` node: a minimal init process in its own network, mount, PID and UTS namespaces. It sees the
// host's file system and programs (with /proc, /sys and /etc/hosts of its own), and everything the node runs
// is in its PID namespace, so that killing the init process ends the node without a trace: processes,
// interfaces, mounts.
//
// The kernel kills the init process when the thread that created it ends (PR_SET_PDEATHSIG), so nodes are
// created on the engine's main thread and a killed engine takes them along.
#pragma once

#include <sys/types.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

using vswitch::FileDescriptor;

/// Set-up of a node failed; the text gives the cause and the way out.
class NodeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A file or directory of the host that the node sees at `target`, which must exist.
struct BindMount {
  std::string source;  // absolute
  std::string target;  // absolute
  bool read_only = false;
};

struct LinuxNodeConfig {
  std::string name;        // also the host name; up to 64 bytes
  std::string hosts_file;  // shown as /etc/hosts; empty: the host's own
  std::vector<BindMount> binds;
};

class LinuxNode {
 public:
  /// Creates the namespaces and the init process, with lo up. Returns when the node is ready to run commands.
  /// Throws NodeError. Needs CAP_SYS_ADMIN.
  explicit LinuxNode(const LinuxNodeConfig& config);
  /// Kills everything in the node and waits for its end.
  ~LinuxNode();
  LinuxNode(LinuxNode&&) noexcept = default;
  LinuxNode& operator=(LinuxNode&&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The init process, as the host numbers it.
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Refers to the init process; commands enter the node's namespaces through it. Owned by the node.
  [[nodiscard]] int pid_fd() const noexcept { return pid_fd_.get(); }
  /// The network namespace. Owned by the node, which gives it up before it dies: no namespace outlives its
  /// node.
  [[nodiscard]] int network_namespace() const noexcept { return network_namespace_.get(); }

 private:
  std::string name_;
  pid_t pid_ = -1;
  FileDescriptor pid_fd_;
  FileDescriptor network_namespace_;
};

}  // namespace patchbay::tools
