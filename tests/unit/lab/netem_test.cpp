// Impairments: vars.patchbay.netem of a link, and the same values from a command line.
#include <gtest/gtest.h>

#include "tests/unit/lab/lab_text.h"
#include "tools/lab/netem_settings.h"

namespace patchbay::tools {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using test::first_error;

LoadResult load_netem(const std::string& netem, const std::string& ends = R"("h1:eth1", "h2:eth1")") {
  return test::parse_alone(
      "name: lab\ntopology:\n  nodes: {h1: {kind: linux}, h2: {kind: linux}, sw: {kind: bridge}}\n"
      "  links:\n    - endpoints: [" +
      ends + "]\n      vars: {patchbay: {netem: " + netem + "}}\n");
}

TEST(NetemSettings, EachDirectionHasItsOwn) {
  const LoadResult result = load_netem(
      "{a-to-z: {delay: 10ms, jitter: 500us, loss: 1%, reorder: 2, duplicate: 0.5%, corrupt: 0.01%, rate: "
      "10Mbit}, "
      "z-to-a: {delay: 5}}");
  ASSERT_TRUE(result.lab) << first_error(result);
  EXPECT_TRUE(result.diagnostics.empty());
  EXPECT_EQ(result.lab->links[0].a_to_z,
            (Netem{milliseconds(10), microseconds(500), 1, 2, 0.5, 0.01, 10'000'000}));
  EXPECT_EQ(result.lab->links[0].z_to_a, Netem{.delay = milliseconds(5)});
}

TEST(NetemSettings, ErrorsStandWhereTheMistakeIs) {
  EXPECT_EQ(first_error(load_netem("{a-to-z: {delay: soon}}")), "6:49: delay: 'soon' is not a duration");
  EXPECT_EQ(first_error(load_netem("{a-to-z: {loss: 101%}}")), "6:48: loss: '101%' is not a percentage");
  EXPECT_EQ(first_error(load_netem("{a-to-z: {jitter: 1ms}}")), "6:50: the jitter is larger than the delay");
  EXPECT_EQ(first_error(load_netem("{z-to-a: {reorder: 1%}}")), "6:51: reordering needs a delay");
  EXPECT_EQ(first_error(load_netem("{a-to-z: {latency: 1ms}}")),
            "6:42: unknown key 'latency' in a direction of netem");
}

TEST(NetemSettings, ABridgeSendsNothingOfItsOwn) {
  const std::string ends = R"("sw:p1", "h1:eth1")";
  EXPECT_EQ(first_error(load_netem("{a-to-z: {delay: 1ms}}", ends)),
            "6:41: what leaves the bridge port sw:p1 cannot be impaired");
  const LoadResult other = load_netem("{a-to-z: {}, z-to-a: {delay: 1ms}}", ends);
  ASSERT_TRUE(other.lab) << first_error(other);
  EXPECT_EQ(other.lab->links[0].z_to_a, Netem{.delay = milliseconds(1)});
}

TEST(NetemSettings, AreShownAsTheyAreWritten) {
  Netem netem;
  for (const auto& [key, value] : {std::pair("delay", "1.5s"), std::pair("jitter", "250us"),
                                   std::pair("loss", "0.1%"), std::pair("rate", "2.5gbit")})
    ASSERT_FALSE(set_netem(netem, key, value)) << key;
  EXPECT_EQ(to_string(netem), "delay 1.5s 250us loss 0.1% rate 2.5gbit");
  EXPECT_EQ(to_string(Netem{}), "");
  EXPECT_EQ(format_delay(microseconds(10'500)), "10.5ms");
  EXPECT_EQ(format_rate(64'000), "64kbit");
}

TEST(NetemSettings, UnknownNamesAreRefused) {
  Netem netem;
  ASSERT_TRUE(set_netem(netem, "speed", "1"));
  EXPECT_EQ(set_netem(netem, "speed", "1")->message, "'speed' is no impairment");
  EXPECT_EQ(netem, Netem{});
}

}  // namespace
}  // namespace patchbay::tools
