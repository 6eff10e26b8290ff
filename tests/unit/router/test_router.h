// A router with its surroundings for tests: cards that remember what was sent, a driver with a limited number
// of buffers, a terminal, a clock that the test turns. After every step the packet balance is checked.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "appliances/router/core/router.h"
#include "tests/unit/router/frames.h"

namespace patchbay::router::test {

class TestEnvironment final : public Environment {
 public:
  std::size_t transmit(InterfaceId interface, std::span<PacketBuffer* const> packets) override {
    const std::size_t taken = std::min(packets.size(), transmit_room);
    for (std::size_t i = 0; i < taken; ++i) {
      const auto bytes = packets[i]->bytes();
      const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
      sent[interface].emplace_back(first, first + bytes.size());
      free_buffer(packets[i]);
    }
    return taken;
  }
  void release(std::span<PacketBuffer* const> packets) override {
    for (auto* packet : packets)
      free_buffer(packet);
  }
  PacketBuffer* allocate(std::size_t bytes) override {
    if (bytes > buffer_bytes || in_use >= buffers) return nullptr;
    return new_buffer(buffer_bytes);
  }
  PacketBuffer* new_buffer(std::size_t bytes) {
    // Exactly as large as it says, so that the address sanitizer sees every byte too many.
    auto* packet = new PacketBuffer;
    packet->buffer = new std::byte[bytes];
    packet->capacity = static_cast<std::uint32_t>(bytes);
    ++in_use;
    return packet;
  }

  std::size_t transmit_room = kBurstPackets;
  std::size_t buffers = 1000;
  std::size_t buffer_bytes = 10000;
  std::size_t in_use = 0;
  std::array<std::deque<Bytes>, 4> sent;

 private:
  void free_buffer(PacketBuffer* packet) {
    delete[] packet->buffer;
    delete packet;
    --in_use;
  }
};

class TestTerminal final : public ConsoleOutput {
 public:
  void write(std::string_view text) override { output += text; }
  std::string take() { return std::exchange(output, {}); }
  std::string output;
};

class ErrorList final : public ConfigErrorSink {
 public:
  void report(const ConfigError& error) override { errors.push_back(error); }
  /// "line:column: 'word': problem; remedy", one a line.
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& error : errors) {
      all += std::to_string(error.line) + ":" + std::to_string(error.column) + ": '" +
             std::string(error.word.view()) + "': " + std::string(error.problem.view()) + "; " +
             std::string(error.remedy.view()) + "\n";
    }
    return all;
  }
  std::vector<ConfigError> errors;
};

inline constexpr const char* kThreeNetworks =
    "interface eth0\n ip address 10.0.1.1/24\n"
    "interface eth1\n ip address 10.0.2.1/24\n"
    "interface eth2\n ip address 10.0.3.1/24\n"
    "ip route 10.9.0.0/16 10.0.3.9\n";

class TestRouter {
 public:
  explicit TestRouter(const std::string& config = kThreeNetworks, std::uint32_t mtu = 1500,
                      std::size_t arena_bytes = 512 * 1024)
      : memory_(new std::byte[arena_bytes]), arena_({memory_.get(), arena_bytes}) {
    const std::array<InterfaceConfig, 3> interfaces{
        {{"eth0", mac(0), mtu}, {"eth1", mac(1), mtu}, {"eth2", mac(2), mtu}}};
    router_ = Router::create({interfaces, "r1", "1.2.3"}, arena_, environment, terminal);
    if (router_ == nullptr) throw std::runtime_error("the arena is too small");
    configure(config);
    clear();  // announcements
  }
  ~TestRouter() {
    check_balance();
    // Packets may still wait for a neighbour; without links they are let go.
    for (InterfaceId i = 0; i < 3; ++i)
      router_->set_link(i, false, now);
    check_balance();
    EXPECT_EQ(environment.in_use, 0U);
  }
  TestRouter(const TestRouter&) = delete;
  TestRouter& operator=(const TestRouter&) = delete;

  void configure(const std::string& config) {
    ErrorList errors;
    router_->configure(config, errors, now);
    EXPECT_EQ(errors.text(), "");
    check_balance();
  }
  /// Delivers frames to interface `i` in one burst.
  void receive(unsigned i, const std::vector<Bytes>& frames) {
    std::vector<PacketBuffer*> packets;
    for (const auto& frame : frames) {
      auto* packet = environment.new_buffer(frame.size());
      std::copy(frame.begin(), frame.end(), reinterpret_cast<std::uint8_t*>(packet->buffer));
      packet->length = static_cast<std::uint32_t>(frame.size());
      packet->ingress = static_cast<InterfaceId>(i);
      packets.push_back(packet);
    }
    router_->receive(packets, now);
    check_balance();
  }
  void receive(unsigned i, const Bytes& frame) { receive(i, std::vector<Bytes>{frame}); }
  /// Lets time pass, step by step from deadline to deadline.
  void advance(Nanoseconds time) {
    const Nanoseconds end = now + time;
    for (;;) {
      const Nanoseconds deadline = router_->poll(now);
      check_balance();
      if (deadline > end) break;
      now = std::max(now, deadline);
    }
    now = end;
  }
  void type(const std::string& text) {
    router_->console().input(text, now);
    check_balance();
  }
  /// Types a line and returns what was printed, up to the next prompt, without the echo.
  std::string run(const std::string& line) {
    terminal.take();
    type(line + "\r");
    std::string output = terminal.take();
    EXPECT_EQ(output.substr(0, line.size() + 2), line + "\r\n");
    output.erase(0, line.size() + 2);
    const auto prompt = output.rfind('\n');
    return prompt == std::string::npos ? "" : output.substr(0, prompt + 1);
  }
  /// Makes host `n` of network `i` known by an ARP request of its own.
  void meet(unsigned i, unsigned n) {
    const std::string network = "10.0." + std::to_string(i + 1) + ".";
    receive(i,
            ethernet(kBroadcast, host_mac(i, n), 0x0806,
                     arp_packet({1, host_mac(i, n), network + std::to_string(n), kZeroMac, network + "1"})));
    environment.sent[i].pop_back();
  }
  void meet_everybody() {
    meet(0, 2);
    meet(1, 2);
    meet(2, 9);
  }
  /// The oldest frame sent on interface `i`, which must exist.
  Bytes take(unsigned i) {
    if (environment.sent[i].empty())
      throw std::runtime_error("nothing was sent on interface " + std::to_string(i));
    Bytes frame = environment.sent[i].front();
    environment.sent[i].pop_front();
    return frame;
  }
  [[nodiscard]] bool silent() const {
    return std::all_of(environment.sent.begin(), environment.sent.end(),
                       [](const auto& s) { return s.empty(); });
  }
  void clear() {
    for (auto& sent : environment.sent)
      sent.clear();
  }
  [[nodiscard]] std::uint64_t drops(DropReason reason) const { return router_->counters().drops(reason); }
  [[nodiscard]] const RouterCounters& counters() const { return router_->counters(); }
  [[nodiscard]] Router& router() { return *router_; }
  /// The state of a neighbour as `show arp` names it, "" if unknown.
  [[nodiscard]] std::string neighbor_state(const std::string& address) {
    for (const auto& neighbor : router_->state().plane.neighbors.entries()) {
      if (neighbor.state != NeighborState::unused && neighbor.address.value == ip(address)) {
        return std::string(to_string(neighbor.state));
      }
    }
    return "";
  }
  void check_balance() const {
    EXPECT_TRUE(router_->counters().balanced());
    EXPECT_EQ(environment.in_use, router_->counters().held);
  }

  TestEnvironment environment;
  TestTerminal terminal;
  Nanoseconds now = 100 * kSecond;

 private:
  static MacAddress mac(unsigned i) { return {{2, 0, 0, 0, 0xFF, static_cast<std::uint8_t>(i)}}; }

  std::unique_ptr<std::byte[]> memory_;
  Arena arena_;
  Router* router_ = nullptr;
};

}  // namespace patchbay::router::test
