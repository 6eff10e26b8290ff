// From the VMM's start information to a running router: memory, cards, core, configuration.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <string_view>

#include "appliances/router/core/arena.h"
#include "appliances/router/core/router.h"
#include "appliances/router/core/text.h"
#include "appliances/router/guest/appliance.h"
#include "appliances/router/guest/command_line.h"
#include "appliances/router/guest/panic.h"
#include "appliances/router/guest/pci.h"
#include "appliances/router/guest/start_info.h"

extern "C" {
using Constructor = void (*)();
extern Constructor init_array_start[];  // router.ld
extern Constructor init_array_end[];
extern std::byte image_end[];
[[noreturn]] void guest_main(const patchbay::router::guest::StartInfo* info, std::uint64_t start_tsc);
}

namespace patchbay::router::guest {
namespace {

constexpr std::size_t kMaxCards = 31;  // bus 0 without the host bridge
constexpr std::uint16_t kMaxRing = 1024;
constexpr std::uint16_t kMinRing = 32;
/// The router gets this part of what packets leave: it touches an eighth of it at once, which costs start-up
/// time.
constexpr std::size_t kTablesShare = 4;
constexpr std::uint16_t kConsolePort = 0x3F8;
constexpr std::uint16_t kWaitPort = 0x600;
constexpr std::uint16_t kPowerPort = 0x608;

std::uint16_t console_port = kConsolePort;  // for panic()

struct Range {
  std::uintptr_t begin;
  std::uintptr_t end;
};

/// The RAM behind the image, without what the VMM has put there.
std::span<std::byte> free_memory(const StartInfo& info) noexcept {
  Range free{reinterpret_cast<std::uintptr_t>(image_end), 0};
  const std::span map(reinterpret_cast<const StartMemory*>(info.memory_map), info.memory_map_entries);
  for (const StartMemory& entry : map) {
    if (entry.type == StartMemory::kRam && entry.address <= free.begin &&
        free.begin < entry.address + entry.bytes) {
      free.end = std::min<std::uintptr_t>(entry.address + entry.bytes, 0x1'0000'0000);
    }
  }
  if (free.end == 0) panic("the memory map has no RAM around the image");

  // Where something lies in the middle, the larger side remains.
  const auto leave_out = [&free](std::uintptr_t begin, std::size_t bytes) {
    const std::uintptr_t end = begin + bytes;
    if (end <= free.begin || begin >= free.end) return;
    if (begin > free.begin && begin - free.begin >= free.end - std::min(end, free.end)) {
      free.end = begin;
    } else {
      free.begin = std::min(end, free.end);
    }
  };
  leave_out(reinterpret_cast<std::uintptr_t>(&info), sizeof info);
  leave_out(info.memory_map, map.size_bytes());
  leave_out(info.module_list, info.modules * sizeof(StartModule));
  if (info.command_line != 0) {
    leave_out(info.command_line, std::strlen(reinterpret_cast<const char*>(info.command_line)) + 1);
  }
  for (const StartModule& module :
       std::span(reinterpret_cast<const StartModule*>(info.module_list), info.modules)) {
    leave_out(module.address, module.bytes);
  }
  return {reinterpret_cast<std::byte*>(free.begin), free.end - free.begin};
}

/// The configuration text is the first module.
std::string_view configuration(const StartInfo& info) noexcept {
  if (info.modules == 0) return {};
  const auto& module = *reinterpret_cast<const StartModule*>(info.module_list);
  return {reinterpret_cast<const char*>(module.address), module.bytes};
}

/// Names of the interfaces, in the order of the cards on the bus.
class Names {
 public:
  explicit Names(std::string_view list) noexcept {
    while (!list.empty() && count_ < kMaxCards) {
      const std::string_view name = list.substr(0, list.find(','));
      list.remove_prefix(std::min(name.size() + 1, list.size()));
      names_[count_++] = name;
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }
  [[nodiscard]] std::string_view operator[](std::size_t i) const noexcept { return names_[i]; }

 private:
  std::array<std::string_view, kMaxCards> names_;
  std::size_t count_ = 0;
};

/// Brings up to `wanted` cards to the point where their properties are known.
std::span<VirtioNet> find_cards(std::uintptr_t ecam, std::size_t wanted, Arena& arena) noexcept {
  const std::span<std::byte> memory = arena.take(kMaxCards * sizeof(VirtioNet), alignof(VirtioNet));
  if (memory.empty()) panic("not enough memory");
  auto* cards = reinterpret_cast<VirtioNet*>(memory.data());
  std::size_t count = 0;
  for (unsigned device = 1; device < 32 && count < wanted; ++device) {
    const PciFunction function(ecam, device);
    if (function.vendor() != VirtioPci::kVendor || function.device() != VirtioNet::kDeviceId) continue;
    new (cards + count++) VirtioNet(function);
  }
  if (count < wanted) panic("nics= on the command line names more cards than there are");
  return {cards, count};
}

class ErrorPrinter final : public ConfigErrorSink {
 public:
  explicit ErrorPrinter(ConsoleOutput& output) noexcept : output_(output) {}
  void report(const ConfigError& error) override {
    std::array<char, 600> buffer;
    TextWriter text(buffer);
    text << "configuration:" << error.line << ':' << error.column << ": " << error.problem.view();
    if (!error.remedy.empty()) text << "; " << error.remedy.view();
    text << "\r\n";
    output_.write(text.view());
  }

 private:
  ConsoleOutput& output_;
};

/// The largest ring for which rings and buffers take at most half of `room`, the tables of the router the
/// rest.
std::uint16_t ring_size(std::size_t cards, std::size_t frame_bytes, std::size_t room) noexcept {
  std::uint16_t size = kMaxRing;
  while (size > kMinRing && 2 * cards * size * (BufferPool::bytes_per_buffer(frame_bytes) + 64) > room / 2)
    size /= 2;
  return size;
}

[[noreturn]] void start(const StartInfo& info, std::uint64_t start_tsc) noexcept {
  const CommandLine command_line(info.command_line != 0 ? reinterpret_cast<const char*>(info.command_line)
                                                        : std::string_view());
  console_port = static_cast<std::uint16_t>(command_line.number("console", kConsolePort));
  if (info.magic != StartInfo::kMagic || info.version < 1)
    panic("the start information is none of PVH version 1");
  const std::uint64_t tsc_khz = command_line.number("tsc_khz", 0);
  const std::uint64_t ecam = command_line.number("ecam", 0);
  if (tsc_khz == 0 || ecam == 0 || ecam >= 0x1'0000'0000)
    panic("ecam= or tsc_khz= on the command line is missing");

  // What follows lives as long as the guest.
  static const Clock clock(start_tsc, tsc_khz);
  static Uart uart(console_port);
  static WaitDevice wait(static_cast<std::uint16_t>(command_line.number("wait", kWaitPort)));
  static Arena arena(free_memory(info));
  const Names names(command_line.value("nics"));
  const std::span<VirtioNet> cards = find_cards(ecam, names.size(), arena);

  std::array<InterfaceConfig, kMaxCards> interfaces;
  std::size_t frame_bytes = 0;
  for (std::size_t i = 0; i < cards.size(); ++i) {
    interfaces[i] = {names[i], cards[i].mac(), cards[i].mtu()};
    frame_bytes = std::max(frame_bytes, cards[i].mtu() + VirtioNet::kFrameOverhead);
  }
  // Every descriptor of every ring can hold a buffer, and as many again as one ring has are left for the
  // router.
  const std::uint16_t ring = ring_size(cards.size(), frame_bytes, arena.available());
  static BufferPool pool(arena, (2 * cards.size() + 1) * ring, frame_bytes);
  static Appliance appliance(cards, pool, uart, wait, clock,
                             static_cast<std::uint16_t>(command_line.number("poweroff", kPowerPort)));

  const std::string_view hostname = command_line.value("hostname");
  const RouterConfig config{.interfaces = std::span(interfaces).first(cards.size()),
                            .hostname = hostname.empty() ? "router" : hostname,
                            .version = PATCHBAY_VERSION};
  Arena tables(arena.take(arena.available() / kTablesShare, alignof(std::max_align_t)));
  Router* const router = Router::create(config, tables, appliance, uart);
  if (router == nullptr) panic("not enough memory for the router's tables, or a card with a group address");

  for (std::size_t i = 0; i < cards.size(); ++i)
    cards[i].start(static_cast<InterfaceId>(i), ring, arena, pool);
  for (std::size_t i = 0; i < cards.size(); ++i) {
    if (!cards[i].link_up()) router->set_link(static_cast<InterfaceId>(i), false, clock.now());
  }
  ErrorPrinter errors(uart);
  static_cast<void>(router->configure(configuration(info), errors, clock.now()));
  uart.enable_input();

  std::array<char, 200> buffer;
  TextWriter ready(buffer);
  ready << "router " << config.hostname << " ready in ";
  ready.milliseconds(clock.now()) << " ms\r\n";
  uart.write(ready.view());
  router->console().start();
  appliance.run(*router);
}

}  // namespace

void panic(std::string_view reason) noexcept {
  for (const std::string_view part : {std::string_view("\r\nrouter: "), reason, std::string_view("\r\n")}) {
    out8_string(console_port, part.data(), part.size());
  }
  crash();
}

}  // namespace patchbay::router::guest

void guest_main(const patchbay::router::guest::StartInfo* info, std::uint64_t start_tsc) {
  for (Constructor* constructor = init_array_start; constructor != init_array_end; ++constructor)
    (*constructor)();
  patchbay::router::guest::start(*info, start_tsc);
}
