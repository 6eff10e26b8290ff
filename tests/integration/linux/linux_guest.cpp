#include "linux_guest.h"

#include <filesystem>

#include "vmm/host_probe.h"
#include "vmm/kernel/linux_image.h"

namespace patchbay::vmm {
namespace {

const std::string kImage = PATCHBAY_GUEST_IMAGE;

const HostProbe& host() {
  static const HostProbe probe = probe_host();
  return probe;
}

const KvmSystem& kvm() {
  static const KvmSystem system;
  return system;
}

const std::shared_ptr<const ElfImage>& kernel() {
  static const auto image = std::make_shared<const ElfImage>(load_kernel(kImage + "/vmlinuz"));
  return image;
}

const FileContents& initrd() {
  static const FileContents contents = FileContents::read(kImage + "/initrd.cpio", "initrd");
  return contents;
}

int occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

}  // namespace

void LinuxTest::SetUp() {
  if (host().kind == HostKind::none) GTEST_SKIP() << host().problem;
  if (host().kind == HostKind::user_mode_only) {
    GTEST_SKIP() << "this host's KVM emulates supervisor mode: operating systems run in the emulated host instead "
                    "(ctest -L emulated)";
  }
  if (!std::filesystem::exists(kImage + "/vmlinuz")) GTEST_SKIP() << "no guest image; run tools/image/debian";
}

LinuxGuest::LinuxGuest(const std::string& script, std::function<void(VmConfig&)> adjust) {
  VmConfig config;
  config.name = "linux";
  config.memory_bytes = 256ULL << 20;
  config.kernel = kernel();
  config.modules.push_back({initrd(), ""});
  config.command_line = "console=ttyS0 quiet panic=-1";
  if (!script.empty()) config.command_line += " patchbay.run=\"" + script + "\"";
  config.console_output = [this](std::span<const std::byte> data) {
    const std::lock_guard lock(mutex_);
    for (const std::byte byte : data)
      if (byte != std::byte{'\r'}) console_.push_back(static_cast<char>(byte));
    changed_.notify_all();
  };
  config.on_state_change = [this](const VmStatus&) { changed_.notify_all(); };
  if (adjust) adjust(config);
  vm_ = std::make_unique<VirtualMachine>(kvm(), std::move(config));
}

std::string LinuxGuest::console() {
  const std::lock_guard lock(mutex_);
  return console_;
}

bool LinuxGuest::wait(const std::string& purpose, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kGuestPatience;
  while (!condition()) {
    const VmStatus status = vm_->status();
    if (status.state == VmState::crashed || std::chrono::steady_clock::now() > deadline) {
      const std::string text = console();
      std::printf("waited for %s; the machine is %s %s; the end of the console:\n%s\n", purpose.c_str(),
                  to_string(status.state), status.failure.c_str(),
                  text.substr(text.size() - std::min<std::size_t>(text.size(), 3000)).c_str());
      return false;
    }
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(50));
  }
  return true;
}

bool LinuxGuest::wait_for_output(const std::string& text, int times) {
  return wait("\"" + text + "\"", [&] { return occurrences(console(), text) >= times; });
}

bool LinuxGuest::wait_for_state(VmState state) {
  return wait(std::string("state ") + to_string(state), [&] { return vm_->state() == state; });
}

std::string LinuxGuest::run() {
  vm_->power_on();
  if (!wait_for_state(VmState::off)) return "";
  const std::string text = console();
  const std::size_t up = text.find(kGuestIsUp);
  return up == std::string::npos ? "" : text.substr(up + std::string(kGuestIsUp).size());
}

}  // namespace patchbay::vmm
