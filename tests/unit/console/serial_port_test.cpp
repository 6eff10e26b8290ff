#include "devices/console/serial_port.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "devices/console/byte_fifo.h"

namespace patchbay::devices::console {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

TEST(ByteFifo, KeepsOrderAroundItsEnd) {
  ByteFifo fifo(7);
  std::string expected;
  std::string seen;
  std::mt19937 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string data(random() % 9, static_cast<char>('a' + i % 26));
    const std::size_t taken = fifo.push(bytes_of(data));
    EXPECT_EQ(taken, std::min(data.size(), 7 - (expected.size() - seen.size())));
    expected += data.substr(0, taken);
    std::string out(random() % 9, '?');
    out.resize(fifo.pop(std::as_writable_bytes(std::span(out))));
    seen += out;
    ASSERT_EQ(expected.substr(0, seen.size()), seen);
    ASSERT_EQ(fifo.size(), expected.size() - seen.size());
    ASSERT_EQ(fifo.room(), 7 - fifo.size());
  }
}

TEST(SerialPort, TakesNothingWhileTheGuestsEndIsClosed) {
  SerialPort port("test");
  EXPECT_FALSE(port.guest_open());
  EXPECT_EQ(port.openings(), 0U);
  EXPECT_EQ(port.write(bytes_of("lost")), 0U);
}

}  // namespace
}  // namespace patchbay::devices::console
