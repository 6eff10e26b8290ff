// Filters as native code decide as libpcap's interpreter does. Filters compiled before the EAL is started run
// in the interpreter, those after it as native code.
#include <gtest/gtest.h>
#include <rte_eal.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/capture/test_frame.h"
#include "vswitch/capture/filter.h"

namespace patchbay::vswitch::capture {
namespace {

const std::vector<std::string> kNativeExpressions{
    "arp",
    "icmp or icmp6",
    "ip host 10.0.0.1",
    "host 192.168.0.2 and not port 22",
    "net 10.0.0.0/8 or net 192.168.0.0/17",
    "host 255.255.255.255 or net 128.0.0.0/1",
    "tcp port 80 or udp port 53",
    "portrange 1-1023",
    "vlan 5 and ip",
    "ip6 host fe80::1 or tcp src port 4660",
    "len > 100 and len <= 1514",
    "ether host 02:00:00:00:00:01",
    "ether broadcast or ether proto 0x0800",
    "ip[6:2] & 0x1fff = 0",
    "ether[130:2] = 0x8283 or ether[125:4] = 0x7d7e7f80",
    "ether[60000] = 11",
};
const std::vector<std::string> kInterpretedExpressions{
    "tcp[13] = 2",  "tcp[tcpflags] & tcp-syn != 0", "ether[0xFFFFFFFC:4] = 0", "ip[ip[0] * 65535] = 1",
    "udp[4:4] = 1",
};

/// Once per process.
bool start_eal() {
  static const bool started = [] {
    std::vector<std::string> words{"test",     "--no-huge", "--no-shconf",    "--no-pci",
                                   "--lcores", "0",         "--no-telemetry", "--log-level=4"};
    std::vector<char*> arguments;
    for (std::string& word : words)
      arguments.push_back(word.data());
    return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
  }();
  return started;
}

/// Headers that are nearly right: real frames with a few bytes changed.
class FrameMaker {
 public:
  std::unique_ptr<TestFrame> next() {
    std::vector<std::byte> bytes;
    switch (pick(4)) {
      case 0:
        bytes = pattern(1 + pick(300));
        break;
      case 1:
        bytes = pattern(kMaxFrameBytes - pick(6000));
        break;
      default:
        bytes = ip_frame(pick(2) == 0 ? 6 : 17, static_cast<int>(pick(2) == 0 ? 80 : 53), pick(2000));
    }
    if (pick(5) == 0) {
      const auto tag = to_bytes({0x81, 0, 0, 5});
      bytes.insert(bytes.begin() + static_cast<long>(std::min<std::size_t>(12, bytes.size())), tag.begin(),
                   tag.end());
      bytes.resize(std::min(bytes.size(), kMaxFrameBytes));
    }
    for (std::size_t i = pick(4); i > 0; --i) {
      bytes[pick(std::min<std::size_t>(bytes.size(), 60))] = static_cast<std::byte>(pick(256));
    }
    bytes.resize(1 + (pick(6) == 0 ? pick(60) : bytes.size() - 1));
    return std::make_unique<TestFrame>(std::move(bytes), 1 + pick(kMaxPieces));
  }

 private:
  std::size_t pick(std::size_t below) { return random_() % below; }

  std::mt19937_64 random_{4711};
};

TEST(NativeFilter, DecidesAsTheInterpreterDoes) {
  std::vector<std::string> expressions = kNativeExpressions;
  expressions.insert(expressions.end(), kInterpretedExpressions.begin(), kInterpretedExpressions.end());
  std::vector<std::unique_ptr<Filter>> interpreted, native;
  for (const std::string& expression : expressions) {
    interpreted.push_back(std::make_unique<Filter>(expression));
    ASSERT_EQ(interpreted.back()->engine(), Filter::Engine::interpreter) << expression;
  }
  ASSERT_TRUE(start_eal());
  for (const std::string& expression : expressions)
    native.push_back(std::make_unique<Filter>(expression));
#if defined(__x86_64__) || defined(__aarch64__)
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    EXPECT_EQ(native[i]->engine(),
              i < kNativeExpressions.size() ? Filter::Engine::native : Filter::Engine::interpreter)
        << expressions[i];
  }
#endif

  FrameMaker frames;
  std::vector<std::size_t> matched(expressions.size());
  for (int round = 0; round < 3000; ++round) {
    const std::unique_ptr<TestFrame> frame = frames.next();
    for (std::size_t i = 0; i < expressions.size(); ++i) {
      const bool expected = interpreted[i]->matches(frame->view());
      ASSERT_EQ(native[i]->matches(frame->view()), expected) << expressions[i] << ", frame " << round;
      matched[i] += expected ? 1 : 0;
    }
  }
  const auto told_apart = std::count_if(matched.begin(), matched.end(),
                                        [](std::size_t count) { return count > 0 && count < 3000; });
  EXPECT_GE(told_apart, 12) << "the frames do not exercise the filters";
}

TEST(NativeFilter, AFrameShorterThanItSaysIsNoTrap) {
  ASSERT_TRUE(start_eal());
  Filter filter("ether[3000] = 1 or len = 4000");
  ASSERT_EQ(filter.engine(), Filter::Engine::native);
  TestFrame frame(pattern(300), 3);
  frame.view().length = 4000;
  EXPECT_FALSE(filter.matches(frame.view()));
}

TEST(NativeFilter, LoadsLongExpressionsInNoTime) {
  ASSERT_TRUE(start_eal());
  std::string expression = "host fe80::1";
  for (int i = 2; i < 100; ++i)
    expression += " or host fe80::" + std::to_string(i);
  const auto start = std::chrono::steady_clock::now();
  Filter filter(expression);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_FALSE(filter.matches(TestFrame(pattern(100)).view()));
}

}  // namespace
}  // namespace patchbay::vswitch::capture
