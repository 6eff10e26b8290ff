// The card of an interface: `nic` and `queues` under vars.patchbay of a link or an endpoint.
#include <gtest/gtest.h>

#include "tests/unit/lab/lab_text.h"

namespace patchbay::tools {
namespace {

using test::first_error;

LoadResult load_link(const std::string& link) {
  return test::parse_alone(
      "name: lab\ntopology:\n  nodes:\n    r1: {kind: router}\n    h1: {kind: linux}\n  links:\n    - " +
      link + "\n");
}

TEST(NicSettings, AnInterfaceHasAVirtioCardUnlessTheFileSaysOtherwise) {
  const LoadResult result = load_link(R"({endpoints: ["r1:eth0", "h1:eth1"]})");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].nic, NicModel::virtio_net);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].queues, 1u);
}

TEST(NicSettings, ACardThatANodeHasNoDriverForIsAnError) {
  EXPECT_EQ(first_error(load_link(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {nic: e1000}}})")),
            "7:66: a link between router and linux cannot have the card 'e1000'");
  EXPECT_EQ(first_error(load_link(
                "{type: veth, endpoints: [{node: r1, interface: eth0, vars: {patchbay: {nic: e1000}}}, "
                "{node: h1, interface: eth1}]}")),
            "7:83: a node of kind router cannot have the card 'e1000'");
}

TEST(NicSettings, UnknownCardsAndQueueCountsAreErrors) {
  EXPECT_EQ(first_error(load_link(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {nic: e100}}})")),
            "7:66: nic: unknown card 'e100'");
  EXPECT_NE(first_error(load_link(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {queues: 0}}})")),
            "");
}

}  // namespace
}  // namespace patchbay::tools
