#include "tools/node/interface_setup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <sched.h>

#include <cerrno>
#include <cstring>
#include <exception>

namespace patchbay::tools {
namespace {

/// The calling thread is in another network namespace for the life of this object.
class NamespaceVisit {
 public:
  explicit NamespaceVisit(int network_namespace)
      : home_(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
    if (!home_ || ::setns(network_namespace, CLONE_NEWNET) != 0) {
      throw NodeError(
          fmt::format("cannot enter the network namespace: {}; run as root", std::strerror(errno)));
    }
  }
  ~NamespaceVisit() {
    // A thread that cannot come home would create the engine's sockets in a guest's network.
    if (::setns(home_.get(), CLONE_NEWNET) != 0) std::terminate();
  }
  NamespaceVisit(const NamespaceVisit&) = delete;
  NamespaceVisit& operator=(const NamespaceVisit&) = delete;

 private:
  FileDescriptor home_;
};

template <auto Put>
struct Release {
  template <typename T>
  void operator()(T* object) const noexcept {
    Put(object);
  }
};
using Link = std::unique_ptr<rtnl_link, Release<rtnl_link_put>>;
using LinkAddress = std::unique_ptr<rtnl_addr, Release<rtnl_addr_put>>;
using Address = std::unique_ptr<nl_addr, Release<nl_addr_put>>;

Address parse(const std::string& text, int family) {
  nl_addr* address = nullptr;
  if (const int error = nl_addr_parse(text.c_str(), family, &address); error < 0) {
    throw NodeError(fmt::format("'{}' is not an address: {}", text, nl_geterror(error)));
  }
  return Address(address);
}

}  // namespace

void InterfaceSetup::Close::operator()(nl_sock* socket) const noexcept {
  nl_socket_free(socket);
}

InterfaceSetup::InterfaceSetup(int network_namespace) : socket_(nl_socket_alloc()) {
  const NamespaceVisit visit(network_namespace);
  if (socket_ == nullptr) throw NodeError("cannot allocate a netlink socket");
  if (const int error = nl_connect(socket_.get(), NETLINK_ROUTE); error < 0) {
    throw NodeError(fmt::format("cannot open a netlink socket: {}", nl_geterror(error)));
  }
}

void InterfaceSetup::apply(const InterfaceSettings& settings) {
  const auto check = [&](int error, const std::string& what) {
    if (error < 0) throw NodeError(fmt::format("{}: {}: {}", settings.name, what, nl_geterror(error)));
  };
  rtnl_link* found = nullptr;
  check(rtnl_link_get_kernel(socket_.get(), 0, settings.name.c_str(), &found), "finding the interface");
  const Link link(found);
  const int index = rtnl_link_get_ifindex(link.get());

  // The MAC first and on its own: drivers refuse it once the interface is up.
  if (!settings.mac.empty()) {
    const Address mac = parse(settings.mac, AF_LLC);
    const Link change(rtnl_link_alloc());
    rtnl_link_set_addr(change.get(), mac.get());
    check(rtnl_link_change(socket_.get(), link.get(), change.get(), 0), "setting MAC " + settings.mac);
  }
  const Link change(rtnl_link_alloc());
  if (settings.mtu != 0) rtnl_link_set_mtu(change.get(), settings.mtu);
  rtnl_link_set_flags(change.get(), IFF_UP);
  check(rtnl_link_change(socket_.get(), link.get(), change.get(), 0),
        settings.mtu != 0 ? fmt::format("setting MTU {} and state up", settings.mtu) : "setting state up");

  for (const std::string& text : settings.addresses) {
    const Address local = parse(text, AF_UNSPEC);
    const LinkAddress address(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(address.get(), index);
    check(rtnl_addr_set_local(address.get(), local.get()), "address " + text);
    if (nl_addr_get_family(local.get()) == AF_INET6) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
    check(rtnl_addr_add(socket_.get(), address.get(), 0), "adding address " + text);
  }
}

}  // namespace patchbay::tools
