// The card of an interface: `nic` and `queues` under vars.patchbay of a link or an endpoint.
#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>

#include "tools/lab/load.h"

namespace patchbay::tools {
namespace {

LoadResult parse(const std::string& link) {
  const Surroundings nothing{[](std::string_view) { return std::nullopt; },
                             [](const std::filesystem::path&) -> std::string {
                               throw std::runtime_error("No such file or directory");
                             }};
  return parse_lab(
      "name: lab\ntopology:\n  nodes:\n    r1: {kind: router}\n    h1: {kind: linux}\n  links:\n    - " +
          link + "\n",
      "lab.clab.yml", nothing);
}

std::string first_error(const LoadResult& result) {
  const auto found = std::find_if(result.diagnostics.begin(), result.diagnostics.end(),
                                  [](const Diagnostic& d) { return d.severity == Severity::error; });
  return found == result.diagnostics.end() ? "" : found->message;
}

TEST(NicSettings, AnInterfaceHasAVirtioCardUnlessTheFileSaysOtherwise) {
  const LoadResult result = parse(R"({endpoints: ["r1:eth0", "h1:eth1"]})");
  ASSERT_TRUE(result.lab);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].nic, NicModel::virtio_net);
  EXPECT_EQ(result.lab->nodes[0].interfaces[0].queues, 1u);
}

TEST(NicSettings, ACardThatANodeHasNoDriverForIsAnError) {
  EXPECT_EQ(first_error(parse(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {nic: e1000}}})")),
            "a link between router and linux cannot have the card 'e1000'");
  EXPECT_EQ(first_error(
                parse("{type: veth, endpoints: [{node: r1, interface: eth0, vars: {patchbay: {nic: e1000}}}, "
                      "{node: h1, interface: eth1}]}")),
            "a node of kind router cannot have the card 'e1000'");
}

TEST(NicSettings, UnknownCardsAndQueueCountsAreErrors) {
  EXPECT_EQ(first_error(parse(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {nic: e100}}})")),
            "nic: unknown card 'e100'");
  EXPECT_NE(first_error(parse(R"({endpoints: ["r1:eth0", "h1:eth1"], vars: {patchbay: {queues: 0}}})")), "");
}

}  // namespace
}  // namespace patchbay::tools
