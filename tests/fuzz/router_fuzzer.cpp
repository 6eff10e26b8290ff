// Everything that reaches the router from outside, in any order: frames, time, link changes, missing buffers,
// full queues, typed characters, configuration. Nothing may crash or read beyond a frame, every packet must
// be accounted for, and the configuration that the router shows must be one that it takes.
//
// The input is a sequence of steps: a byte that says what, then what it needs.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/router.h"

namespace patchbay::router {
namespace {

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// Buffers of exactly the frame's size, so that the address sanitizer sees every byte beyond.
class FuzzEnvironment final : public Environment {
 public:
  std::size_t transmit(InterfaceId interface, std::span<PacketBuffer* const> packets) override {
    if (interface > 1) fail("transmitted on an interface that does not exist");
    const std::size_t taken = std::min(packets.size(), transmit_room);
    for (auto* packet : packets.first(taken)) {
      check_frame(*packet);
      free_packet(packet);
    }
    return taken;
  }
  void release(std::span<PacketBuffer* const> packets) override {
    for (auto* packet : packets)
      free_packet(packet);
  }
  PacketBuffer* allocate(std::size_t bytes) override {
    if (bytes > 2048 || in_use >= buffers) return nullptr;
    return make_packet(bytes);
  }
  PacketBuffer* make_packet(std::size_t bytes) {
    auto* packet = new PacketBuffer;
    packet->buffer = new std::byte[bytes];
    packet->capacity = static_cast<std::uint32_t>(bytes);
    ++in_use;
    return packet;
  }

  std::size_t transmit_room = 64;
  std::size_t buffers = 64;
  std::size_t in_use = 0;

 private:
  /// What every frame from the router must be.
  static void check_frame(const PacketBuffer& packet) {
    const auto bytes = packet.bytes();
    if (packet.offset + packet.length > packet.capacity || bytes.size() < kEthernetBytes)
      fail("a frame is no frame");
    const auto& ethernet = view_as<EthernetHeader>(bytes.data());
    if (ethernet.source.is_group() || ethernet.destination.is_zero()) fail("bad Ethernet addresses");
    if (ethernet.type != kEtherTypeIpv4) return;
    const auto& header = view_as<Ipv4Header>(bytes.data() + kEthernetBytes);
    if (bytes.size() < kEthernetBytes + kIpv4Bytes || header.version() != 4) fail("bad IPv4 header");
    if (header.total_length != bytes.size() - kEthernetBytes) fail("bad total length");
    if (header.ttl == 0) fail("sent with TTL 0");
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < header.header_bytes(); i += 2) {
      sum += static_cast<std::uint32_t>(bytes[kEthernetBytes + i]) << 8 |
             static_cast<std::uint32_t>(bytes[kEthernetBytes + i + 1]);
    }
    while (sum > 0xFFFF)
      sum = (sum & 0xFFFF) + (sum >> 16);
    if (sum != 0xFFFF) fail("bad header checksum");
  }
  void free_packet(PacketBuffer* packet) {
    delete[] packet->buffer;
    delete packet;
    --in_use;
  }
};

class Terminal final : public ConsoleOutput {
 public:
  void write(std::string_view text) override {
    if (text.size() > 4096) fail("the console wrote too much at once");
    if (record) recorded += text;
  }
  bool record = false;
  std::string recorded;
};

class Errors final : public ConfigErrorSink {
 public:
  void report(const ConfigError& error) override {
    if (error.problem.empty() || error.remedy.empty()) fail("an error without explanation");
    ++count;
  }
  std::size_t count = 0;
};

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::span<const std::uint8_t> take(std::size_t count) {
    const auto taken = bytes_.first(std::min(count, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  std::string_view text(std::size_t count) {
    const auto taken = take(count);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

constexpr std::string_view kStart =
    "hostname r1\n"
    "interface eth0\n ip address 10.0.1.1/24\n"
    "interface eth1\n mtu 300\n ip address 10.0.2.1/24\n"
    "ip route 0.0.0.0/0 10.0.2.2\nip route 10.0.0.0/8 10.0.1.2\nip route 10.7.0.0/16 reject\n";

/// Repairs what random bytes almost never get right, so that the fuzzer gets behind the first checks.
void repair(std::span<std::byte> frame, unsigned ingress) {
  if (frame.size() < kEthernetBytes + kIpv4Bytes) return;
  auto& ethernet = view_as<EthernetHeader>(frame.data());
  ethernet.destination = MacAddress{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(ingress)}};
  ethernet.source.bytes[0] = 2;
  ethernet.type = kEtherTypeIpv4;
  auto& header = view_as<Ipv4Header>(frame.data() + kEthernetBytes);
  header.version_ihl = static_cast<std::uint8_t>(0x40 | std::max(5, header.version_ihl & 0xF));
  if (kEthernetBytes + header.header_bytes() > frame.size()) header.version_ihl = Ipv4Header::kPlain;
  header.total_length = static_cast<std::uint16_t>(frame.size() - kEthernetBytes);
  // Addresses near ours.
  header.source = Ipv4Address{make_ipv4(10, 0, 1, 0).value | (header.source.address().value & 0x3FF)};
  header.destination =
      Ipv4Address{make_ipv4(10, 0, 0, 0).value | (header.destination.address().value & 0x7'03FF)};
  header.checksum = 0;
  header.checksum = internet_checksum(frame.subspan(kEthernetBytes, header.header_bytes()));
  if (!header.is(IpProtocol::icmp)) return;
  const auto message = frame.subspan(kEthernetBytes + header.header_bytes());
  if (message.size() < kIcmpBytes) return;
  auto& icmp = view_as<IcmpHeader>(message.data());
  icmp.checksum = 0;
  icmp.checksum = internet_checksum(message);
}

class Fuzz {
 public:
  Fuzz() : memory_(160 * 1024), arena_(memory_) {
    const std::array<InterfaceConfig, 2> interfaces{
        {{"eth0", MacAddress{{2, 0, 0, 0, 0, 0}}, 1500}, {"eth1", MacAddress{{2, 0, 0, 0, 0, 1}}, 1500}}};
    router_ = Router::create({interfaces, "r1", "fuzz"}, arena_, environment_, terminal_);
    if (router_ == nullptr) fail("the arena is too small");
    Errors errors;
    if (router_->configure(kStart, errors, now_) != 0) fail("the start configuration has errors");
  }
  ~Fuzz() {
    terminal_.record = true;
    router_->console().input("\x03\x03", now_);  // out of a running command, out of the configuration
    terminal_.recorded.clear();
    router_->console().input("show running-config\r", now_);
    check_shown_configuration();
    // Without links nothing can wait any longer.
    router_->set_link(0, false, now_);
    router_->set_link(1, false, now_);
    if (environment_.in_use != 0) fail("packets wait for links that are down");
  }
  Fuzz(const Fuzz&) = delete;
  Fuzz& operator=(const Fuzz&) = delete;

  void step(Input& input) {
    const std::uint8_t what = input.byte();
    switch (what % 8) {
      case 0:
      case 1:
        receive(input, 1 + input.byte() % 3, what % 8 == 1);
        break;
      case 2:
        now_ += Nanoseconds{input.byte()} * kMillisecond * 100;
        (void)router_->poll(now_);
        break;
      case 3:
        router_->set_link(input.byte() & 1, (input.byte() & 1) != 0, now_);
        break;
      case 4:
        router_->console().input(input.text(input.byte()), now_);
        break;
      case 5: {
        Errors errors;
        if (router_->configure(input.text(input.byte()), errors, now_) != errors.count)
          fail("errors do not add up");
        break;
      }
      case 6:
        environment_.buffers = input.byte();
        environment_.transmit_room = input.byte() % 65;
        break;
      case 7:
        (void)router_->poll(now_);
        break;
    }
    if (!router_->counters().balanced()) fail("packets are not conserved");
    if (environment_.in_use != router_->counters().held) fail("buffers are lost");
  }

 private:
  void receive(Input& input, std::size_t count, bool repaired) {
    std::vector<PacketBuffer*> packets;
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned ingress = input.byte() & 1;
      const auto bytes = input.take(std::size_t{input.byte()} * 4);
      auto* packet = environment_.make_packet(bytes.size());
      std::memcpy(packet->buffer, bytes.data(), bytes.size());
      packet->length = static_cast<std::uint32_t>(bytes.size());
      packet->ingress = static_cast<InterfaceId>(ingress);
      if (repaired) repair(packet->bytes(), ingress);
      packets.push_back(packet);
    }
    router_->receive(packets, now_);
  }
  /// The text of `show running-config` must be accepted without errors.
  void check_shown_configuration() const {
    std::string_view shown = terminal_.recorded;
    shown.remove_prefix(std::min(shown.find('\n') + 1, shown.size()));  // the echo
    shown = shown.substr(0, shown.rfind('\n') + 1);                     // the prompt
    std::vector<std::byte> memory(128 * 1024);
    Arena arena(memory);
    const std::array<InterfaceConfig, 2> interfaces{{{"eth0", {}, 1500}, {"eth1", {}, 1500}}};
    Errors errors;
    if (validate_config(shown, interfaces, arena, errors) != 0) {
      std::fprintf(stderr, "%s\n", terminal_.recorded.c_str());
      fail("the router does not take the configuration that it shows");
    }
  }

  FuzzEnvironment environment_;
  Terminal terminal_;
  std::vector<std::byte> memory_;
  Arena arena_;
  Router* router_ = nullptr;
  Nanoseconds now_ = kSecond;
};

}  // namespace
}  // namespace patchbay::router

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  patchbay::router::Input input({data, size});
  patchbay::router::Fuzz fuzz;
  while (!input.empty())
    fuzz.step(input);
  return 0;
}
