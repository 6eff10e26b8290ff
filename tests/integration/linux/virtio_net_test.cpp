// Linux's virtio_net driver with two queue pairs, on split and on packed rings, and a Linux host with
// offloads at the other end of the wire. What else a driver can do is tests/guests/nic's matter.
#include <gmock/gmock.h>

#include <memory>
#include <string>

#include "devices/net/virtio_net.h"
#include "devices/virtio/pci_transport.h"
#include "linux_guest.h"
#include "tests/guests/initrd.h"
#include "tests/integration/vswitch/network_namespace.h"
#include "vswitch/balance.h"
#include "vswitch/segment.h"
#include "vswitch/tap_port.h"
#include "vswitch/wire.h"
#include "vswitch/worker.h"

namespace patchbay::vmm {
namespace {

using devices::net::VirtioNet;
using testing::HasSubstr;
using testing::Not;

/// A wire between the guest's card and a TAP in a namespace, with an iperf3 server behind it.
class Cable {
 public:
  Cable(VirtioNet& card, const char* name)
      : card_(card),
        tap_({name, "eth0", space_.fd()}),
        wire_("wire", vswitch::Wire::Options{.lossless = true}) {
    worker_.run([&] {
      for (vswitch::Port* port : {static_cast<vswitch::Port*>(&card_), static_cast<vswitch::Port*>(&tap_)})
        worker_.add(wire_, wire_.attach(*port));
    });
    space_.must("ip link set eth0 mtu 9000 up && ip addr add 10.0.0.1/24 dev eth0");
    server_ = space_.must("iperf3 -s -D >/dev/null 2>&1 & sleep 1; pgrep -n -x iperf3");
  }
  ~Cable() {
    space_.run("kill " + server_);
    worker_.run([&] {
      for (const vswitch::PortIndex index : wire_.attached()) {
        worker_.remove(wire_, index);
        wire_.detach(index);
      }
    });
    worker_.stop();
  }
  void set_link(bool up) {
    worker_.run([&] {
      wire_.set_link(0, up);
      card_.set_link(up);
    });
  }
  std::vector<std::string> faults() {
    std::vector<std::string> result;
    worker_.run([&] { result = vswitch::imbalances(wire_.snapshot()); });
    return result;
  }

 private:
  VirtioNet& card_;
  vswitch::test::NetworkNamespace space_;
  vswitch::TapPort tap_;
  vswitch::Wire wire_;
  vswitch::Worker worker_{{}};
  std::string server_;
};

// t NAME [iperf3 options]: small and large pings, then TCP, and one line of verdict.
constexpr const char* kPrologue =
    "t(){ n=$1;shift;ping -q -c2 -W9 10.0.0.1 >/tmp/o&&ping -q -c1 -W9 -s8900 10.0.0.1 >>/tmp/o&&"
    "iperf3 -c 10.0.0.1 -n 3M $* >>/tmp/o&&echo pass-$n||{ echo FAIL-$n;tail -n4 /tmp/o;};};"
    "up(){ ip l set eth0 mtu 9000 up;ip a add 10.0.0.2/24 dev eth0;};";

class LinuxVirtioNetTest : public LinuxTest, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Rings, LinuxVirtioNetTest, testing::Bool(),
                         [](const auto& rings) { return rings.param ? "Packed" : "Split"; });

TEST_P(LinuxVirtioNetTest, PassesTrafficOverSeveralQueues) {
  devices::net::VirtioNetConfig config;
  config.mac = {0x02, 0, 0, 0, 0, 0x42};
  config.mtu = 9000;
  config.queue_pairs = 2;
  config.packed = GetParam();
  VirtioNet card("vm:eth0", config);
  const std::string script =
      std::string(kPrologue) +
      "up;t plain;t reverse -R;ethtool -L eth0 combined 2&&t queues -P2;"
      "ethtool -K eth0 rx off tx off;t alone;ethtool -K eth0 rx on tx on tso on;echo cut;"
      "c(){ for i in $(seq 60);do [ $(cat /sys/class/net/eth0/carrier) = $1 ]&&break;sleep 1;done;};"
      "c 0;echo carrier $(cat /sys/class/net/eth0/carrier);c 1;t link-back;"
      "echo finished;poweroff -f";
  LinuxGuest guest("", [&](VmConfig& vm) {
    // As a file: the kernel takes no more than 32 words on its command line.
    std::vector<std::byte> initrd = tests::read_file(PATCHBAY_GUEST_IMAGE "/initrd.cpio");
    tests::append_file(initrd, "start", "#!/bin/sh\n" + script + "\n");
    vm.modules[0] = {std::move(initrd), ""};
    vm.vcpus = 2;
    vm.functions.push_back(std::make_shared<devices::virtio::PciTransport>(card, VirtioNet::kPciClass));
  });
  Cable cable(card, "host:eth0");
  guest->power_on();
  EXPECT_TRUE(guest.wait_for_output("\ncut"));
  cable.set_link(false);
  EXPECT_TRUE(guest.wait_for_output("carrier 0"));
  cable.set_link(true);
  EXPECT_TRUE(guest.wait_for_output("\nfinished"));
  const std::string console = guest.console();
  for (const char* step : {"plain", "reverse", "queues", "alone", "link-back"}) {
    EXPECT_THAT(console, HasSubstr("pass-" + std::string(step)));
  }
  EXPECT_THAT(console, Not(HasSubstr("FAIL-")));
  EXPECT_EQ(cable.faults(), std::vector<std::string>{});
  EXPECT_EQ(card.error(), "no error");
}

}  // namespace
}  // namespace patchbay::vmm
