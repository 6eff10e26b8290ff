#include "vmm/kvm.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace patchbay::vmm {
namespace {

// Structures that end in a flexible array have another size in C++ than in C, so the ioctl numbers that the
// kernel header derives from them are wrong here. These are the kernel's: argument size 8, entries at
// offset 8.
constexpr unsigned long kGetSupportedCpuid = _IOC(_IOC_READ | _IOC_WRITE, KVMIO, 0x05, 8);
constexpr unsigned long kSetCpuid2 = _IOC(_IOC_WRITE, KVMIO, 0x90, 8);
constexpr unsigned long kSetMsrs = _IOC(_IOC_WRITE, KVMIO, 0x89, 8);
constexpr unsigned long kSetGsiRouting = _IOC(_IOC_WRITE, KVMIO, 0x6a, 8);
constexpr unsigned long kSetSignalMask = _IOC(_IOC_WRITE, KVMIO, 0x8b, 4);  // this header is four bytes

constexpr int kApiVersion = 12;

/// A header of two 32-bit words (count and padding) followed by `entries`, as the kernel lays them out.
template <typename Entry>
std::vector<std::byte> with_header(std::span<const Entry> entries) {
  std::vector<std::byte> buffer(8 + entries.size_bytes());
  const auto count = static_cast<std::uint32_t>(entries.size());
  std::memcpy(buffer.data(), &count, sizeof count);
  if (!entries.empty()) std::memcpy(buffer.data() + 8, entries.data(), entries.size_bytes());
  return buffer;
}

[[noreturn]] void throw_kvm_error(const std::string& purpose) {
  throw std::system_error(errno, std::generic_category(), "KVM: cannot " + purpose);
}

std::string explain_open_failure(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
      return path +
             " does not exist: this host offers no KVM. Load the module (modprobe kvm_intel, or kvm_amd), "
             "enable "
             "virtualization in the firmware or nested virtualization of the hypervisor; in a container pass "
             "the "
             "device in (docker run --device /dev/kvm)";
    case EACCES:
    case EPERM:
      return "no permission to open " + path +
             ": add yourself to its group (sudo usermod -aG kvm $USER) and log in again, or run as root";
    case ENODEV:
    case ENXIO:
      return path +
             " is there but no KVM module answers: modprobe kvm_intel (or kvm_amd), see dmesg for the cause";
    default:
      return "cannot open " + path + ": " + std::strerror(error);
  }
}

}  // namespace

// --- system
// --------------------------------------------------------------------------------------------------

KvmSystem::KvmSystem(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
  if (!fd_) throw KvmUnavailable(explain_open_failure(path, errno));
  const int version = ::ioctl(fd_.get(), KVM_GET_API_VERSION, 0);
  if (version != kApiVersion) {
    throw KvmUnavailable(path + " speaks KVM API version " + std::to_string(version) + ", needed is " +
                         std::to_string(kApiVersion) + "; use a kernel of 2.6.22 or later");
  }
  const int bytes = ::ioctl(fd_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (bytes < static_cast<int>(sizeof(kvm_run)))
    throw KvmUnavailable("KVM reports an impossible vCPU page size");
  run_bytes_ = static_cast<std::size_t>(bytes);
}

int KvmSystem::check_extension(unsigned capability) const noexcept {
  return ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability));
}

FileDescriptor KvmSystem::create() const {
  int fd;
  do {
    fd = ::ioctl(fd_.get(), KVM_CREATE_VM, 0UL);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) throw_kvm_error("create a virtual machine");
  return FileDescriptor(fd);
}

KvmVm KvmSystem::create_vm() const {
  {
    const std::lock_guard lock(mutex_);
    if (!stock_.empty()) {
      FileDescriptor fd = std::move(stock_.back());
      stock_.pop_back();
      return {std::move(fd), run_bytes_};
    }
  }
  return {create(), run_bytes_};
}

void KvmSystem::stock(std::size_t count) {
  const std::lock_guard lock(mutex_);
  stock_.reserve(count);
  while (stock_.size() < count)
    stock_.push_back(create());
}

CpuidEntries KvmSystem::supported_cpuid() const {
  CpuidEntries entries(256);
  std::vector<std::byte> buffer = with_header(std::span<const kvm_cpuid_entry2>(entries));
  if (::ioctl(fd_.get(), kGetSupportedCpuid, buffer.data()) != 0)
    throw_kvm_error("read the supported CPUID leaves");
  std::uint32_t count;
  std::memcpy(&count, buffer.data(), sizeof count);
  entries.resize(std::min<std::size_t>(count, entries.size()));
  std::memcpy(entries.data(), buffer.data() + 8, entries.size() * sizeof(kvm_cpuid_entry2));
  return entries;
}

// --- virtual machine
// -----------------------------------------------------------------------------------------

void KvmVm::ioctl_or_throw(unsigned long request, void* argument, const char* purpose) const {
  if (::ioctl(fd_.get(), request, argument) < 0) throw_kvm_error(purpose);
}

int KvmVm::check_extension(unsigned capability) const noexcept {
  return ::ioctl(fd_.get(), KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability));
}

void KvmVm::set_memory(std::uint32_t slot, std::uint32_t flags, std::uint64_t guest_address,
                       std::span<const std::byte> host) {
  kvm_userspace_memory_region region{};
  region.slot = slot;
  region.flags = flags;
  region.guest_phys_addr = guest_address;
  region.memory_size = host.size();
  region.userspace_addr = reinterpret_cast<std::uint64_t>(host.data());
  ioctl_or_throw(KVM_SET_USER_MEMORY_REGION, &region, "map guest memory");
}

void KvmVm::set_reserved_pages(std::uint64_t identity_map, std::uint64_t tss) {
  ioctl_or_throw(KVM_SET_IDENTITY_MAP_ADDR, &identity_map, "place the identity map page");
  if (::ioctl(fd_.get(), KVM_SET_TSS_ADDR, static_cast<unsigned long>(tss)) < 0)
    throw_kvm_error("place the TSS pages");
}

void KvmVm::create_irqchip() {
  ioctl_or_throw(KVM_CREATE_IRQCHIP, nullptr, "create the interrupt controllers");
}

void KvmVm::create_interval_timer() {
  kvm_pit_config config{};
  config.flags = KVM_PIT_SPEAKER_DUMMY;
  ioctl_or_throw(KVM_CREATE_PIT2, &config, "create the interval timer");
}

std::uint64_t KvmVm::clock() const noexcept {
  kvm_clock_data data{};
  return ::ioctl(fd_.get(), KVM_GET_CLOCK, &data) == 0 ? data.clock : 0;
}

void KvmVm::set_clock(std::uint64_t nanoseconds) noexcept {
  kvm_clock_data data{};
  data.clock = nanoseconds;
  ::ioctl(fd_.get(), KVM_SET_CLOCK, &data);
}

KvmVcpu KvmVm::create_vcpu(unsigned id) {
  const int fd = ::ioctl(fd_.get(), KVM_CREATE_VCPU, static_cast<unsigned long>(id));
  if (fd < 0) throw_kvm_error("create virtual processor " + std::to_string(id));
  return {FileDescriptor(fd), run_bytes_};
}

int KvmVm::assign_ioeventfd(std::uint64_t address, int event_fd) noexcept {
  kvm_ioeventfd request{};
  request.addr = address;
  request.fd = event_fd;  // len 0 and no datamatch: any write of any width
  return ::ioctl(fd_.get(), KVM_IOEVENTFD, &request) == 0 ? 0 : errno;
}

void KvmVm::deassign_ioeventfd(std::uint64_t address, int event_fd) noexcept {
  kvm_ioeventfd request{};
  request.addr = address;
  request.fd = event_fd;
  request.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
  ::ioctl(fd_.get(), KVM_IOEVENTFD, &request);
}

void KvmVm::assign_irqfd(std::uint32_t gsi, int event_fd) {
  kvm_irqfd request{};
  request.fd = static_cast<std::uint32_t>(event_fd);
  request.gsi = gsi;
  ioctl_or_throw(KVM_IRQFD, &request, "connect an eventfd to an interrupt");
}

void KvmVm::set_gsi_routing(std::span<const kvm_irq_routing_entry> entries) {
  std::vector<std::byte> buffer = with_header(entries);
  ioctl_or_throw(kSetGsiRouting, buffer.data(), "set the interrupt routing");
}

void KvmVm::set_irq_line(std::uint32_t gsi, bool level) noexcept {
  kvm_irq_level request{};
  request.irq = gsi;
  request.level = level ? 1 : 0;
  ::ioctl(fd_.get(), KVM_IRQ_LINE, &request);
}

// --- virtual processor
// ---------------------------------------------------------------------------------------

KvmVcpu::KvmVcpu(FileDescriptor fd, std::size_t run_bytes)
    : fd_(std::move(fd)),
      run_page_(fd_.get(), run_bytes, PROT_READ | PROT_WRITE, "the shared page of a vCPU") {}

int KvmVcpu::run() noexcept {
  return ::ioctl(fd_.get(), KVM_RUN, 0UL) == 0 ? 0 : errno;
}

void KvmVcpu::set_cpuid(CpuidEntries entries) {
  std::vector<std::byte> buffer = with_header(std::span<const kvm_cpuid_entry2>(entries));
  if (::ioctl(fd_.get(), kSetCpuid2, buffer.data()) != 0) throw_kvm_error("set the CPUID leaves");
}

kvm_regs KvmVcpu::regs() const {
  kvm_regs regs{};
  if (::ioctl(fd_.get(), KVM_GET_REGS, &regs) != 0) throw_kvm_error("read the registers");
  return regs;
}

void KvmVcpu::set_regs(const kvm_regs& regs) {
  if (::ioctl(fd_.get(), KVM_SET_REGS, &regs) != 0) throw_kvm_error("set the registers");
}

kvm_sregs KvmVcpu::sregs() const {
  kvm_sregs sregs{};
  if (::ioctl(fd_.get(), KVM_GET_SREGS, &sregs) != 0) throw_kvm_error("read the system registers");
  return sregs;
}

void KvmVcpu::set_sregs(const kvm_sregs& sregs) {
  if (::ioctl(fd_.get(), KVM_SET_SREGS, &sregs) != 0) throw_kvm_error("set the system registers");
}

void KvmVcpu::set_msrs(std::span<const std::pair<std::uint32_t, std::uint64_t>> values) {
  std::vector<kvm_msr_entry> entries;
  for (const auto& [index, value] : values)
    entries.push_back({index, 0, value});
  std::vector<std::byte> buffer = with_header(std::span<const kvm_msr_entry>(entries));
  const int set = ::ioctl(fd_.get(), kSetMsrs, buffer.data());  // the number of those that were taken
  if (set < 0) throw_kvm_error("set model-specific registers");
  if (static_cast<std::size_t>(set) != entries.size()) {
    throw std::system_error(EINVAL, std::generic_category(),
                            "KVM: cannot set model-specific register number " +
                                std::to_string(entries[static_cast<std::size_t>(set)].index));
  }
}

void KvmVcpu::note_paused() noexcept {
  ::ioctl(fd_.get(), KVM_KVMCLOCK_CTRL, 0UL);
}

void KvmVcpu::set_signal_mask(std::uint64_t blocked) {
  std::byte buffer[4 + sizeof blocked];
  const std::uint32_t length = sizeof blocked;
  std::memcpy(buffer, &length, 4);
  std::memcpy(buffer + 4, &blocked, sizeof blocked);
  if (::ioctl(fd_.get(), kSetSignalMask, buffer) != 0) throw_kvm_error("set the signal mask");
}

std::uint32_t KvmVcpu::tsc_khz() const {
  const int khz = ::ioctl(fd_.get(), KVM_GET_TSC_KHZ, 0);
  if (khz <= 0) throw_kvm_error("read the TSC frequency");
  return static_cast<std::uint32_t>(khz);
}

bool KvmVcpu::set_tsc_offset(std::int64_t offset) noexcept {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<std::uint64_t>(&offset);
  return ::ioctl(fd_.get(), KVM_SET_DEVICE_ATTR, &attribute) == 0;
}

}  // namespace patchbay::vmm
