#include "tests/integration/router/router_vm.h"

#include <sched.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <span>
#include <stdexcept>
#include <system_error>

#include "devices/virtio/pci_transport.h"
#include "vmm/elf_image.h"
#include "vswitch/balance.h"

namespace patchbay::tests {
namespace {

constexpr const char* kName = "r1";

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

}  // namespace

RouterVm::RouterVm(const Options& options, const std::vector<vswitch::Port*>& peers) {
  vmm::VmConfig config;
  config.name = kName;
  config.memory_bytes = options.memory_bytes;
  config.kernel = std::make_shared<vmm::ElfImage>(vmm::ElfImage::load(PATCHBAY_ROUTER_ELF));
  config.interrupts = vmm::Interrupts::wake_only;
  config.modules.push_back({bytes_of(options.configuration), "configuration"});
  config.console_output = [this](std::span<const std::byte> output) {
    {
      const std::lock_guard lock(console_mutex_);
      console_.append(reinterpret_cast<const char*>(output.data()), output.size());
    }
    console_grew_.notify_all();
  };
  std::string names;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    const std::string name = "eth" + std::to_string(i);
    names += (i == 0 ? "" : ",") + name;
    devices::net::VirtioNetConfig card;
    card.mac = mac(i);
    card.mtu = options.mtu;
    card.queue_size = options.queue_size;
    cards_.push_back(std::make_unique<devices::net::VirtioNet>(std::string(kName) + ":" + name, card));
    config.functions.push_back(
        std::make_shared<devices::virtio::PciTransport>(*cards_.back(), devices::net::VirtioNet::kPciClass));
    wires_.push_back(
        std::make_unique<vswitch::Wire>("wire" + std::to_string(i), vswitch::Wire::Options{true}));
    wires_.back()->attach(*cards_.back());
    wires_.back()->attach(*peers[i]);
  }
  config.command_line = "console=0x3f8 nics=" + names + " hostname=" + kName;
  machine_ = std::make_unique<vmm::VirtualMachine>(kvm_, std::move(config));

  vswitch::Worker::Options worker;
  worker.cpu = options.switch_cpu;
  worker_ = std::make_unique<vswitch::Worker>(worker);
  worker_->run([this] {
    for (const auto& wire : wires_) {
      for (const vswitch::PortIndex end : wire->attached())
        worker_->add(*wire, end);
    }
  });
}

RouterVm::~RouterVm() {
  worker_->stop();  // the ports are nobody's any more
  machine_->power_off();
  wires_.clear();
  machine_.reset();  // with the transports, which refer to the cards
}

void RouterVm::type(std::string_view text) {
  if (machine_->console_input(std::as_bytes(std::span(text))) != text.size()) {
    throw std::runtime_error("the console does not take more input");
  }
}

std::string RouterVm::console() {
  const std::lock_guard lock(console_mutex_);
  return console_;
}

bool RouterVm::wait_for_console(std::string_view text, std::chrono::milliseconds limit, std::size_t from) {
  std::unique_lock lock(console_mutex_);
  return console_grew_.wait_for(lock, limit, [&] { return console_.find(text, from) != std::string::npos; });
}

std::vector<std::string> RouterVm::imbalances() {
  std::vector<std::string> all;
  worker_->run([&] {
    for (const auto& wire : wires_) {
      for (std::string& text : vswitch::imbalances(wire->snapshot()))
        all.push_back(std::move(text));
    }
  });
  return all;
}

pid_t RouterVm::vcpu_thread() const {
  const std::string wanted = std::string("vcpu:") + kName;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name == wanted) return std::stoi(task.path().filename());
  }
  throw std::runtime_error("no thread is called " + wanted);
}

void RouterVm::pin_vcpu(int cpu) const {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (::sched_setaffinity(vcpu_thread(), sizeof set, &set) != 0) {
    throw std::system_error(errno, std::generic_category(), "sched_setaffinity");
  }
}

std::chrono::nanoseconds RouterVm::vcpu_time() const {
  std::uint64_t on_cpu = 0;
  std::ifstream("/proc/self/task/" + std::to_string(vcpu_thread()) + "/schedstat") >> on_cpu;
  return std::chrono::nanoseconds(on_cpu);
}

}  // namespace patchbay::tests
