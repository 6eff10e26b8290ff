// Runs guests with an unmodified Linux on one bridge or wire of the switch until all of them have switched
// themselves off, and prints their consoles, every line behind the guest's name.
//
//   guest_lab --kernel FILE --initrd FILE [--segment bridge|wire] [--append TEXT] [--memory MiB] [--timeout
//   S]
//             NAME=MODEL[:MTU[:QUEUE-PAIRS]]=SCRIPT[=ARCHIVE]...
//
// The initrd's first process is expected to run /start, which is SCRIPT; the files of ARCHIVE, a cpio
// archive, are that guest's alone. Lines on a console are commands:
//   @@link NAME down|up        the link of guest NAME
//   @@pause NAME SECONDS       pauses the guest and resumes it after that time
//   @@reset NAME
//   @@type NAME TEXT           types TEXT and a line feed at guest NAME's console
//   @@counters                 prints the frame counters
// Exit status 0 if every guest ended by itself in time and the counters balance.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/guests/initrd.h"
#include "tools/engine/nic.h"
#include "vmm/kernel/linux_image.h"
#include "vmm/virtual_machine.h"
#include "vswitch/balance.h"
#include "vswitch/bridge.h"
#include "vswitch/switch.h"
#include "vswitch/wire.h"

namespace {

using namespace patchbay;
using Clock = std::chrono::steady_clock;

/// What the vCPU threads tell the main thread.
class Events {
 public:
  void line(std::string text) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(text));
    changed_.notify_one();
  }
  std::vector<std::string> take(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, until, [this] { return !lines_.empty(); });
    return std::exchange(lines_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

struct Guest {
  std::string name;
  std::unique_ptr<tools::Nic> nic;
  std::string partial_line;
  std::optional<Clock::time_point> resume_at;
  std::unique_ptr<vmm::VirtualMachine> machine;
};
using Guests = std::vector<std::unique_ptr<Guest>>;

struct Arguments {
  std::string kernel, initrd, segment = "bridge", append = "console=ttyS0 quiet panic=-1";
  unsigned memory_mib = 256, timeout_s = 300, cpus = 1;
  bool offloads = true, packed = true;
  std::vector<std::string> guests;
};

tools::NicConfig nic_config(const std::string& name, std::string model, std::size_t index,
                            const Arguments& arguments) {
  tools::NicConfig config;
  if (const auto colon = model.find(':'); colon != std::string::npos) {
    std::size_t digits = 0;
    const std::string numbers = model.substr(colon + 1);
    config.mtu = static_cast<unsigned>(std::stoul(numbers, &digits));
    if (digits < numbers.size())
      config.queues = static_cast<unsigned>(std::stoul(numbers.substr(digits + 1)));
    model.resize(colon);
  }
  config.port_name = name + ":eth0";
  config.model = model == "e1000" ? tools::NicModel::e1000 : tools::NicModel::virtio_net;
  config.mac = {0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(index + 1)};
  config.offloads = arguments.offloads;
  config.packed = arguments.packed;
  return config;
}

std::string drops(const vswitch::DropValues& values) {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] != 0)
      text += fmt::format(" {}={}", vswitch::to_string(static_cast<vswitch::DropReason>(i)), values[i]);
  }
  return text;
}

constexpr std::array<std::string_view, vmm::kExitKinds> kExitNames{
    "port_read", "port_write", "memory_read", "memory_write", "wait", "interrupted", "other"};

bool print_counters(vswitch::Switch& network) {
  bool balanced = true;
  for (const auto& segment : network.snapshot()) {
    for (const auto& port : segment.ports) {
      fmt::print("counters {} in {} forwarded {}{} | out {} delivered {}{}\n", port.name, port.in.frames,
                 port.in.forwarded, drops(port.in.dropped), port.out.offered, port.out.delivered,
                 drops(port.out.dropped));
    }
    for (const std::string& sentence : vswitch::imbalances(segment)) {
      balanced = false;
      fmt::print("imbalance {}\n", sentence);
    }
  }
  return balanced;
}

void obey(const std::string& line, const Guests& guests, vswitch::Switch& network) {
  std::istringstream words(line.substr(line.find("@@") + 2));
  std::string verb, name, argument;
  words >> verb >> name >> argument;
  if (verb == "counters") static_cast<void>(print_counters(network));
  const auto guest =
      std::find_if(guests.begin(), guests.end(), [&](const auto& other) { return other->name == name; });
  if (guest == guests.end()) return;
  if (verb == "type") {
    std::string text;
    std::getline(words >> std::ws, text);
    text = argument + ' ' + text + '\n';
    static_cast<void>((*guest)->machine->console_input(std::as_bytes(std::span(text))));
  }
  if (verb == "link") network.set_link(name + ":eth0", argument == "up");
  if (verb == "reset") (*guest)->machine->reset();
  if (verb == "pause") {
    (*guest)->machine->pause();
    (*guest)->resume_at = Clock::now() + std::chrono::seconds(std::stoul(argument));
  }
}

void resume_due(const Guests& guests) {
  for (const auto& guest : guests) {
    if (!guest->resume_at || Clock::now() < *guest->resume_at) continue;
    guest->resume_at.reset();
    if (guest->machine->state() == vmm::VmState::paused) guest->machine->resume();
  }
}

int run(const Arguments& arguments) {
  const vmm::KvmSystem kvm;
  const auto kernel = std::make_shared<const vmm::ElfImage>(vmm::load_kernel(arguments.kernel));
  const std::vector<std::byte> base = tests::read_file(arguments.initrd);
  Events events;
  Guests guests;
  vswitch::Switch network;
  std::unique_ptr<vswitch::Segment> made;
  if (arguments.segment == "wire") {
    made = std::make_unique<vswitch::Wire>("segment", vswitch::Wire::Options{});
  } else {
    made = std::make_unique<vswitch::Bridge>("segment", vswitch::Bridge::Options{});
  }
  vswitch::Segment& segment = network.add(std::move(made));

  for (const std::string& text : arguments.guests) {
    const auto first = text.find('=');
    const auto second = text.find('=', first + 1);
    const auto third = std::min(text.find('=', second + 1), text.size());
    if (first == std::string::npos || second == std::string::npos)
      throw std::runtime_error("'" + text + "': write NAME=MODEL=SCRIPT");
    auto guest = std::make_unique<Guest>();
    Guest* self = guest.get();
    guest->name = text.substr(0, first);
    guest->nic = std::make_unique<tools::Nic>(
        nic_config(guest->name, text.substr(first + 1, second - first - 1), guests.size(), arguments));
    std::vector<std::byte> initrd = base;
    if (third < text.size()) tests::append_archive(initrd, tests::read_file(text.substr(third + 1)));
    const std::vector<std::byte> script = tests::read_file(text.substr(second + 1, third - second - 1));
    tests::append_file(initrd, "start",
                       std::string_view(reinterpret_cast<const char*>(script.data()), script.size()));

    vmm::VmConfig config;
    config.name = guest->name;
    config.vcpus = arguments.cpus;
    config.memory_bytes = std::uint64_t{arguments.memory_mib} << 20;
    config.kernel = kernel;
    config.command_line = arguments.append;
    config.modules.push_back({std::move(initrd), ""});
    config.functions.push_back(guest->nic->function());
    config.console_output = [self, &events](std::span<const std::byte> output) {
      for (const std::byte byte : output) {
        const char c = static_cast<char>(byte);
        if (c == '\n') events.line(self->name + "| " + std::exchange(self->partial_line, {}));
        if (c != '\n' && c != '\r') self->partial_line += c;
      }
    };
    config.on_state_change = [self, &events](const vmm::VmStatus& status) {
      events.line(fmt::format("{}| machine {} {}", self->name, vmm::to_string(status.state), status.failure));
    };
    guest->machine = std::make_unique<vmm::VirtualMachine>(kvm, std::move(config));
    network.attach(segment, guest->nic->port());
    guests.push_back(std::move(guest));
  }

  const auto start = Clock::now();
  for (const auto& guest : guests)
    guest->machine->power_on();
  const auto deadline = start + std::chrono::seconds(arguments.timeout_s);
  const auto running = [&] {
    return std::any_of(guests.begin(), guests.end(), [](const auto& guest) {
      const vmm::VmState state = guest->machine->state();
      return state == vmm::VmState::running || state == vmm::VmState::paused;
    });
  };
  bool crashed = false;
  for (bool more = true; more && Clock::now() < deadline;) {
    more = running();
    resume_due(guests);
    for (const std::string& line : events.take(std::min(deadline, Clock::now() + std::chrono::seconds(1)))) {
      const std::chrono::duration<double> time = Clock::now() - start;
      fmt::print("{:7.2f} {}\n", time.count(), line);
      crashed |= line.find("machine crashed") != std::string::npos;
      if (line.find("@@") != std::string::npos) obey(line, guests, network);
    }
    std::fflush(stdout);
  }
  const bool late = running();
  for (const auto& guest : guests) {
    guest->machine->power_off();
    fmt::print("exits {}", guest->name);
    const auto exits = guest->machine->statistics().exits;
    for (std::size_t i = 0; i < exits.size(); ++i)
      fmt::print(" {}={}", kExitNames[i], exits[i]);
    fmt::print("\n");
  }
  const bool balanced = print_counters(network);
  network.stop();
  if (late) fmt::print("not all guests ended within {} s\n", arguments.timeout_s);
  return late || crashed || !balanced ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Runs Linux guests on one segment");
  app.add_option("--kernel", arguments.kernel)->required();
  app.add_option("--initrd", arguments.initrd)->required();
  app.add_option("--segment", arguments.segment);
  app.add_option("--append", arguments.append);
  app.add_option("--memory", arguments.memory_mib);
  app.add_option("--cpus", arguments.cpus);
  app.add_option("--timeout", arguments.timeout_s);
  app.add_flag("--packed,!--no-packed", arguments.packed, "offer packed rings");
  app.add_flag("--offloads,!--no-offloads", arguments.offloads);
  app.add_option("guests", arguments.guests)->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    fmt::print(stderr, "guest_lab: {}\n", error.what());
    return 2;
  }
}
