// Named serial ports behind a driver: the control conversation, both directions with back-pressure, hostile
// messages.
#include "devices/console/virtio_console.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <string>

#include "tests/unit/devices/plain_driver.h"

namespace patchbay::devices::console {
namespace {

using devices::testing::GuestRam;
using devices::testing::PlainDriver;

constexpr std::uint32_t kBuffer = 4096;

struct VirtioConsoleTest : ::testing::Test {
  GuestRam ram{8 << 20};
  virtio::DoorbellThread thread;
  SerialPort first{"first.port"};
  SerialPort second{"second.port"};
  VirtioConsole device{{&first, &second}, thread};
  PlainDriver driver{ram, device};
  std::vector<std::uint64_t> control_buffers;

  void SetUp() override { ASSERT_TRUE(driver.start()); }

  void send(std::uint32_t port, std::uint16_t event, std::uint16_t value) {
    const std::uint64_t at = ram.allocate(sizeof(VirtioConsole::Control));
    ram.store(at, VirtioConsole::Control{port, event, value});
    driver.ring(VirtioConsole::kControlTransmit).add({{at, sizeof(VirtioConsole::Control)}});
    driver.kick(VirtioConsole::kControlTransmit);
    ASSERT_TRUE(driver.wait_used(VirtioConsole::kControlTransmit));
  }
  /// The device's next control message, and what stands behind it.
  std::pair<VirtioConsole::Control, std::string> control() {
    const std::uint64_t at = ram.allocate(128);
    driver.ring(VirtioConsole::kControlReceive).add({{at, 128, true}});
    driver.kick(VirtioConsole::kControlReceive);
    const auto used = driver.wait_used(VirtioConsole::kControlReceive);
    if (!used || used->length < sizeof(VirtioConsole::Control)) {
      ADD_FAILURE() << "no control message";
      return {};
    }
    return {ram.load<VirtioConsole::Control>(at),
            {reinterpret_cast<const char*>(ram.at(at + sizeof(VirtioConsole::Control))),
             used->length - sizeof(VirtioConsole::Control)}};
  }
  void open(std::uint32_t port) { send(port, VirtioConsole::kPortOpen, 1); }
  /// The driver sends `text` on port 1 and does not wait.
  void transmit(const std::string& text) {
    const std::uint64_t at = ram.allocate(text.size());
    std::memcpy(ram.at(at), text.data(), text.size());
    driver.ring(5).add({{at, static_cast<std::uint32_t>(text.size())}});
    driver.kick(5);
  }
  /// What the port brings until `bytes` are there, or five seconds without any have passed.
  std::string read(SerialPort& port, std::size_t bytes) {
    std::string text;
    while (text.size() < bytes) {
      pollfd wait{port.event_fd(), POLLIN, 0};
      if (::poll(&wait, 1, 5000) != 1) break;
      // Emptied first, then looked at: an event that stays set would turn the wait into a busy loop.
      std::uint64_t events = 0;
      if (::read(port.event_fd(), &events, sizeof events) != sizeof events) break;
      for (std::size_t count = 1; count != 0 && text.size() < bytes;) {
        std::string part(bytes - text.size(), '\0');
        count = port.read(std::as_writable_bytes(std::span(part)));
        text += part.substr(0, count);
      }
    }
    return text;
  }
};

TEST_F(VirtioConsoleTest, AnnouncesItsPortsByName) {
  std::uint32_t max_ports = 0;
  device.read_config(4, std::as_writable_bytes(std::span(&max_ports, 1)));
  EXPECT_EQ(max_ports, 2U);
  send(0, VirtioConsole::kDeviceReady, 1);
  for (std::uint32_t port = 0; port < 2; ++port) {
    const auto [message, rest] = control();
    EXPECT_EQ(message.event, VirtioConsole::kPortAdd);
    EXPECT_EQ(message.port, port);
  }
  send(1, VirtioConsole::kPortReady, 1);
  const auto [name, text] = control();
  EXPECT_EQ(name.event, VirtioConsole::kPortName);
  EXPECT_EQ(name.port, 1U);
  EXPECT_EQ(text, "second.port");
  const auto [opened, nothing] = control();
  EXPECT_EQ(opened.event, VirtioConsole::kPortOpen);
  EXPECT_EQ(opened.value, 1U);
}

TEST_F(VirtioConsoleTest, CarriesBytesBothWays) {
  open(1);
  EXPECT_TRUE(second.guest_open());
  EXPECT_FALSE(first.guest_open());
  transmit("from the guest");
  EXPECT_EQ(read(second, 14), "from the guest");
  ASSERT_TRUE(driver.wait_used(5));

  const std::string text = "to the guest";
  EXPECT_EQ(second.write(std::as_bytes(std::span(text))), text.size());
  const std::uint64_t at = ram.allocate(kBuffer);
  driver.ring(4).add({{at, kBuffer, true}});
  driver.kick(4);
  const auto used = driver.wait_used(4);
  ASSERT_TRUE(used);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ram.at(at)), used->length), text);
}

TEST_F(VirtioConsoleTest, HoldsTheGuestWhileTheHostDoesNotRead) {
  open(1);
  std::string sent;
  for (int i = 0; i < 20; ++i) {  // far more than the port keeps, in chains that end anywhere
    sent += std::string(7001, static_cast<char>('a' + i));
    transmit(sent.substr(sent.size() - 7001));
  }
  EXPECT_EQ(read(second, sent.size()), sent);
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(driver.wait_used(5)) << i;
}

TEST_F(VirtioConsoleTest, HoldsTheHostWhileTheGuestDoesNotRead) {
  open(1);
  const std::string text(SerialPort::kBufferBytes + 1000, 'x');
  EXPECT_EQ(second.write(std::as_bytes(std::span(text))), SerialPort::kBufferBytes);
  EXPECT_EQ(second.write(std::as_bytes(std::span(text))), 0U);
}

TEST_F(VirtioConsoleTest, StartsEveryStreamEmpty) {
  open(1);
  const std::string stale = "stale";
  second.write(std::as_bytes(std::span(stale)));
  transmit("unread");
  ASSERT_TRUE(driver.wait_used(5));
  send(1, VirtioConsole::kPortOpen, 0);
  EXPECT_FALSE(second.guest_open());
  open(1);
  EXPECT_EQ(second.openings(), 2U);
  transmit("new");
  EXPECT_EQ(read(second, 3), "new");
  const std::string fresh = "fresh";
  second.write(std::as_bytes(std::span(fresh)));
  const std::uint64_t at = ram.allocate(kBuffer);
  driver.ring(4).add({{at, kBuffer, true}});
  driver.kick(4);
  const auto used = driver.wait_used(4);
  ASSERT_TRUE(used);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(ram.at(at)), used->length), "fresh");
}

TEST_F(VirtioConsoleTest, ClosesItsPortsAtAReset) {
  open(0);
  open(1);
  device.write_status(0);
  EXPECT_FALSE(first.guest_open());
  EXPECT_FALSE(second.guest_open());
}

TEST_F(VirtioConsoleTest, IgnoresMessagesThatMakeNoSense) {
  send(7, VirtioConsole::kPortOpen, 1);
  send(0xFFFF'FFFF, VirtioConsole::kPortReady, 1);
  send(1, 99, 1);
  send(1, VirtioConsole::kPortReady, 0);
  for (int i = 0; i < 1000; ++i)
    send(0, VirtioConsole::kDeviceReady, 1);  // asks again and again, and never listens
  const std::uint64_t at = ram.allocate(8);
  driver.ring(VirtioConsole::kControlTransmit).add({{at, 7}});
  driver.ring(VirtioConsole::kControlTransmit).add({{at, 8, true}});
  driver.kick(VirtioConsole::kControlTransmit);
  EXPECT_TRUE(driver.wait_used(VirtioConsole::kControlTransmit));
  EXPECT_TRUE(driver.wait_used(VirtioConsole::kControlTransmit));
  EXPECT_FALSE(driver.needs_reset());
  open(1);
  EXPECT_TRUE(second.guest_open());
}

TEST_F(VirtioConsoleTest, StopsAtABrokenRing) {
  driver.ring(5).set_avail_index(1000);
  device.notify(5);
  EXPECT_TRUE(driver.becomes_broken());
}

}  // namespace
}  // namespace patchbay::devices::console
