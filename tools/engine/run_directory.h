// Where a running lab keeps its state: /run/patchbay/<lab>/ with the control socket, the log, the routers'
// consoles and the engine's process id. A lock in it tells whether the engine lives; it is gone with the
// process, whatever ends it.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "vswitch/file_descriptor.h"

namespace patchbay::tools {

class RunDirectory {
 public:
  explicit RunDirectory(const std::string& lab);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::filesystem::path control_socket() const { return path_ / "control.sock"; }
  [[nodiscard]] std::filesystem::path log() const { return path_ / "engine.log"; }
  [[nodiscard]] std::filesystem::path console(const std::string& node) const {
    return path_ / (node + ".console");
  }
  /// Where a peer finds an interface that its lab file gives no other socket.
  [[nodiscard]] std::filesystem::path vhost_user_socket(const std::string& node,
                                                        const std::string& interface) const {
    return path_ / "sockets" / node / (interface + ".sock");
  }
  [[nodiscard]] bool exists() const { return std::filesystem::exists(path_); }

  /// Creates the directory (mode 0700) and holds its lock as long as this object lives. Throws
  /// std::runtime_error if another engine holds it.
  void claim();
  /// Puts the calling process's id into it.
  void record_engine() const;
  /// The engine, if it lives.
  [[nodiscard]] std::optional<pid_t> engine() const;
  /// Removes the directory and the links under /run/netns that name nodes of this lab.
  void remove() const;
  /// Makes the directory of a socket that the engine is going to create, and has remove() take the socket
  /// away.
  void expect_socket(const std::filesystem::path& path) const;
  /// Makes a node's network namespace known to `ip netns exec NAME`.
  void link_namespace(const std::string& full_name, pid_t init) const;

  /// Names of all labs with a directory.
  [[nodiscard]] static std::vector<std::string> labs();

 private:
  std::filesystem::path path_;
  vswitch::FileDescriptor lock_;
};

}  // namespace patchbay::tools
