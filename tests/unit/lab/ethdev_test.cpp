// Nodes of kind ethdev: DPDK's device under config.vars.patchbay.
#include <gtest/gtest.h>

#include "tests/unit/lab/lab_text.h"

namespace patchbay::tools {
namespace {

using test::first_error;

std::string with_devargs(const std::string& devargs) {
  return "{kind: ethdev, config: {vars: {patchbay: {devargs: \"" + devargs + "\"}}}}";
}

LoadResult load_ethdevs(const std::string& first, const std::string& second = "{kind: linux}",
                        const std::string& more_links = "") {
  return test::parse_alone(
      "name: lab\ntopology:\n  nodes:\n    u1: " + first + "\n    u2: " + second +
      "\n    h1: {kind: linux}\n  links:\n    - {endpoints: [\"u1:port\", \"h1:eth1\"]}\n" + more_links);
}

TEST(EthdevNodes, HaveTheDeviceThatTheLabFileNames) {
  const LoadResult result = load_ethdevs(with_devargs("net_af_packet0,iface=__clabLabName__"));
  ASSERT_TRUE(result.lab) << to_string(result.diagnostics.front());
  EXPECT_EQ(result.lab->nodes[0].kind, NodeKind::ethdev);
  EXPECT_EQ(result.lab->nodes[0].devargs, "net_af_packet0,iface=lab");
}

TEST(EthdevNodes, LinksHaveTheMtuOfNetworksOutsideUnlessTheFileSaysOtherwise) {
  const LoadResult result = load_ethdevs(with_devargs("net_ring0"));
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->links[0].mtu, 1500U);
  EXPECT_EQ(result.lab->nodes[2].interfaces[0].mtu, 1500U);
  EXPECT_EQ(first_error(load_ethdevs(with_devargs("net_ring0"), with_devargs("net_ring1"),
                                     "    - {endpoints: [\"u2:port\", \"h1:eth2\"], mtu: 9701}\n")),
            "9:48: the MTU 9701 is too large for a DPDK device");
}

TEST(EthdevNodes, ErrorsStandWhereTheMistakeIs) {
  EXPECT_EQ(first_error(load_ethdevs("{kind: ethdev}")), "4:5: the ethdev 'u1' has no devargs");
  EXPECT_EQ(first_error(load_ethdevs(with_devargs("eth1"))),
            "4:60: 'eth1' names no virtual Ethernet device of DPDK");
  EXPECT_EQ(first_error(load_ethdevs(with_devargs("net_ring0"), with_devargs("net_ring0,x=y"))),
            "5:60: the device 'net_ring0' is that of node 'u1' already");
  EXPECT_EQ(first_error(load_ethdevs(with_devargs("net_ring0"), "{kind: linux}",
                                     "    - {endpoints: [\"u1:more\", \"u2:eth1\"]}\n")),
            "9:20: the ethdev 'u1' has a second link");
  EXPECT_EQ(first_error(
                load_ethdevs("{kind: ethdev, exec: [ls], config: {vars: {patchbay: {devargs: net_ring0}}}}")),
            "4:31: a node of kind 'ethdev' runs no commands, so 'exec' is impossible");
}

}  // namespace
}  // namespace patchbay::tools
