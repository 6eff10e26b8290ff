// Interfaces inside a node's network namespace: MTU, address, state. Works through rtnetlink (libnl-3) on a
// socket that was opened in the namespace; the calling thread visits the namespace only for that moment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tools/node/linux_node.h"

struct nl_sock;

namespace patchbay::tools {

struct InterfaceSettings {
  std::string name;                    // at most 15 bytes
  unsigned mtu = 0;                    // bytes of payload; 0: as it is
  std::string mac;                     // "02:00:5e:10:00:01"; empty: as it is
  std::vector<std::string> addresses;  // "10.0.1.2/24", "2001:db8::1/64"
};

class InterfaceSetup {
 public:
  /// `network_namespace` is only needed during the call. Throws NodeError.
  explicit InterfaceSetup(int network_namespace);

  /// Sets MAC and MTU, brings the interface up and adds the addresses; IPv6 ones are usable at once (no
  /// duplicate address detection: the lab file is the authority). Throws NodeError naming the interface and
  /// the cause.
  void apply(const InterfaceSettings& settings);

 private:
  struct Close {
    void operator()(nl_sock* socket) const noexcept;
  };
  std::unique_ptr<nl_sock, Close> socket_;
};

}  // namespace patchbay::tools
