// The forwarding path of the router without its drivers, in bursts of 64: nanoseconds per packet for one flow
// and for many; and the forwarding table alone, small and with a million prefixes.
#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "appliances/router/core/checksum.h"
#include "appliances/router/core/fib.h"
#include "appliances/router/core/router.h"

namespace patchbay::router {
namespace {

constexpr std::size_t kBufferBytes = 2048;

/// A driver that takes everything and does nothing.
class NullEnvironment final : public Environment {
 public:
  std::size_t transmit(InterfaceId, std::span<PacketBuffer* const> packets) override {
    transmitted += packets.size();
    return packets.size();
  }
  void release(std::span<PacketBuffer* const>) override {}
  PacketBuffer* allocate(std::size_t) override {
    spare_.buffer = spare_bytes_.data();
    spare_.capacity = kBufferBytes;
    return &spare_;
  }
  std::size_t transmitted = 0;

 private:
  PacketBuffer spare_;
  std::array<std::byte, kBufferBytes> spare_bytes_{};
};

class NullTerminal final : public ConsoleOutput {
 public:
  void write(std::string_view) override {}
};

class NoErrors final : public ConfigErrorSink {
 public:
  void report(const ConfigError&) override { std::abort(); }
};

/// Forwards from eth0 to a gateway on eth1; each flow has a destination network of its own.
void forward(benchmark::State& state) {
  const auto flows = static_cast<std::uint32_t>(state.range(0));
  const MacAddress mac0{{2, 0, 0, 0, 0, 1}};
  const MacAddress mac1{{2, 0, 0, 0, 0, 2}};
  const MacAddress gateway{{2, 0, 0, 0, 0, 3}};
  NullEnvironment environment;
  NullTerminal terminal;
  NoErrors errors;
  std::vector<std::byte> memory(1 << 20);
  Arena arena(memory);
  const std::array<InterfaceConfig, 2> interfaces{{{"eth0", mac0, 1500}, {"eth1", mac1, 1500}}};
  Router* router = Router::create({interfaces, "r1", ""}, arena, environment, terminal);
  router->configure(
      "interface eth0\n ip address 10.0.1.1/24\ninterface eth1\n ip address 10.0.2.1/24\n"
      "ip route 20.0.0.0/8 10.0.2.2\nip route 20.1.0.0/16 10.0.2.2\nip route 20.0.1.0/24 10.0.2.2\n",
      errors, kSecond);

  // The gateway makes itself known.
  std::array<std::byte, 64> arp_bytes{};
  const std::array<std::uint8_t, 42> arp{2, 0, 0, 0, 0, 2, 2, 0,  0, 0, 0, 3, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                                         2, 2, 0, 0, 0, 0, 3, 10, 0, 2, 2, 2, 0, 0, 0, 0, 2, 10, 0, 2, 1};
  std::memcpy(arp_bytes.data(), arp.data(), arp.size());
  PacketBuffer reply{arp_bytes.data(), 64, 0, 42, 1, nullptr, 0};
  PacketBuffer* reply_pointer = &reply;
  router->receive({&reply_pointer, 1}, kSecond);

  std::vector<std::byte> buffers(kBurstPackets * kBufferBytes);
  std::array<PacketBuffer, kBurstPackets> packets;
  std::array<PacketBuffer*, kBurstPackets> pointers{};
  std::vector<std::array<std::byte, 64>> frames(flows);
  for (std::uint32_t flow = 0; flow < flows; ++flow) {
    auto& ethernet = view_as<EthernetHeader>(frames[flow].data());
    ethernet.destination = mac0;
    ethernet.source = gateway;
    ethernet.type = kEtherTypeIpv4;
    auto& header = view_as<Ipv4Header>(frames[flow].data() + kEthernetBytes);
    header.version_ihl = Ipv4Header::kPlain;
    header.total_length = 46;
    header.ttl = 64;
    header.protocol = 17;
    header.source = make_ipv4(10, 0, 1, 2);
    header.destination = Ipv4Address{make_ipv4(20, 0, 0, 1).value + (flow << 6)};
    header.checksum = internet_checksum({frames[flow].data() + kEthernetBytes, kIpv4Bytes});
  }
  std::uint32_t flow = 0;
  environment.transmitted = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < kBurstPackets; ++i) {
      std::byte* buffer = buffers.data() + i * kBufferBytes;
      std::memcpy(buffer, frames[flow].data(), 60);
      if (++flow == flows) flow = 0;
      packets[i] = {buffer, kBufferBytes, 0, 60, 0, nullptr, 0};
      pointers[i] = &packets[i];
    }
    router->receive(pointers, 2 * kSecond);
  }
  if (environment.transmitted != static_cast<std::size_t>(state.iterations()) * kBurstPackets) std::abort();
  state.SetItemsProcessed(static_cast<std::int64_t>(environment.transmitted));
  state.counters["packet"] = benchmark::Counter(static_cast<double>(environment.transmitted),
                                                benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(forward)->Arg(1)->Arg(1000);

/// A table with the mix of lengths of the Internet's: six in ten prefixes are /24.
struct FullTable {
  std::vector<std::uint64_t> memory = std::vector<std::uint64_t>(std::size_t{6} << 20);
  std::unique_ptr<Fib> fib = std::make_unique<Fib>(memory);
  std::vector<Ipv4Address> addresses;

  explicit FullTable(std::size_t prefixes) {
    std::mt19937 random(1);
    const std::array<std::uint8_t, 20> lengths{24, 24, 24, 24, 24, 24, 24, 24, 24, 24,
                                               24, 24, 23, 22, 22, 21, 20, 19, 18, 16};
    while (fib->size() < prefixes) {
      // 16.0.0.0 to 223.255.255.255, clustered as allocations are.
      const std::uint32_t address = (16 + static_cast<std::uint32_t>(random()) % 208) << 24 |
                                    (static_cast<std::uint32_t>(random()) & 0x00FF'FFFFU);
      const Ipv4Prefix prefix{{address}, lengths[random() % lengths.size()]};
      if (!fib->insert(prefix, static_cast<Fib::Value>(random() % 1000))) std::abort();
      if (addresses.size() < (1U << 18))
        addresses.push_back({address | (static_cast<std::uint32_t>(random()) & 0xFF)});
    }
  }
};

FullTable& table_of(std::int64_t prefixes) {
  static FullTable small(60);
  static FullTable full(1'000'000);
  return prefixes == 60 ? small : full;
}

void look_up_one_by_one(benchmark::State& state) {
  const FullTable& table = table_of(state.range(0));
  std::size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.fib->lookup(table.addresses[at]));
    if (++at == table.addresses.size()) at = 0;
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(look_up_one_by_one)->Arg(60)->Arg(1'000'000);

void look_up_in_bursts(benchmark::State& state) {
  const FullTable& table = table_of(state.range(0));
  const std::size_t burst = std::min<std::size_t>(64, table.addresses.size());
  std::array<Fib::Value, 64> values{};
  std::size_t at = 0;
  for (auto _ : state) {
    table.fib->lookup(std::span(table.addresses).subspan(at, burst), std::span(values).first(burst));
    benchmark::DoNotOptimize(values);
    at += burst;
    if (at + burst > table.addresses.size()) at = 0;
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(burst));
  state.counters["table_bytes"] = static_cast<double>(table.fib->memory_used());
}
BENCHMARK(look_up_in_bursts)->Arg(60)->Arg(1'000'000);

void insert_and_remove(benchmark::State& state) {
  FullTable& table = table_of(1'000'000);
  std::size_t at = 0;
  for (auto _ : state) {
    const Ipv4Prefix prefix{table.addresses[at], 28};
    if (!table.fib->insert(prefix, 1) || !table.fib->remove(prefix)) std::abort();
    if (++at == table.addresses.size()) at = 0;
  }
}
BENCHMARK(insert_and_remove);

}  // namespace
}  // namespace patchbay::router
