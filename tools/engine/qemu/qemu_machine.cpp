#include "tools/engine/qemu/qemu_machine.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "devices/block/disk.h"
#include "tools/engine/qemu/overlay_image.h"

namespace patchbay::tools {

using vmm::VmState;
using vswitch::FileDescriptor;

namespace {

// For QEMU to write back what it holds of disks. Beyond that, its plug is pulled.
constexpr auto kEndLimit = std::chrono::milliseconds(1000);

struct Sockets {
  FileDescriptor ours;
  FileDescriptor theirs;
};

Sockets socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw std::system_error(errno, std::generic_category(), "no sockets for QEMU; raise the limit of open files (ulimit -n)");
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

}  // namespace

QemuMachine::QemuMachine(const std::filesystem::path& program, MachineServices& services, const Node& node,
                         const RunDirectory& directory, boost::asio::io_context& loop)
    : loop_(loop),
      program_(program.string()),
      agent_line_(loop),
      console_(loop, directory.console(node.name).string(), [this](std::span<const std::byte> input) {
        // What QEMU does not take, a real serial port would have lost as well.
        if (running_ && running_->console)
          (void)::send(running_->console->fd(), input.data(), input.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      }) {
  machine_.name = node.name;
  machine_.cpus = node.cpu;
  machine_.memory_bytes = memory_of(node);
  const auto keep = [this](int file) {
    files_.push_back(duplicate(file));
    return qemu::file_of(files_.back().get());
  };
  machine_.kernel = keep(services.kernel_file(*node.boot));
  if (const auto initrd = services.initrd_file(*node.boot)) machine_.initrd = keep(*initrd);
  machine_.kernel_arguments = node.boot->command_line;
  for (const Interface& interface : node.interfaces) {
    const std::filesystem::path socket = directory.vhost_user_socket(node.name, interface.name);
    if (interface.nic == NicModel::virtio_net) directory.expect_socket(socket);
    cards_.push_back(std::make_unique<qemu::AttachedCard>(loop, node.name + ":" + interface.name, interface,
                                                          socket));
  }
  carriers_.assign(cards_.size(), true);
  add_disks(*node.boot);
}

QemuMachine::~QemuMachine() {
  end();
}

void QemuMachine::add_disks(const VmBoot& boot) {
  char letter = 'a';
  for (const Disk& disk : boot.disks) {
    // The descriptor holds our lock on the image as long as the node exists.
    const auto image = devices::block::open_image(disk.source.string(), !disk.read_only && !disk.copy_on_write);
    files_.emplace_back(image.fd);
    qemu::Drive drive;
    drive.image = image.fd;
    drive.read_only = disk.read_only;
    drive.serial = fmt::format("patchbay-vd{}", letter++);
    struct stat status {};
    drive.is_block_device = ::fstat(image.fd, &status) == 0 && S_ISBLK(status.st_mode);
    if (disk.copy_on_write) {
      files_.push_back(qemu::make_overlay(image.bytes, std::filesystem::temp_directory_path().string()));
      drive.overlay = files_.back().get();
    }
    machine_.drives.push_back(std::move(drive));
  }
}

control::Json QemuMachine::facts() const {
  if (!running_) return control::Json::object();
  return {{"qemu_pid", running_->process->pid()}};
}

void QemuMachine::set_carrier(std::size_t index, bool up) {
  carriers_[index] = up;
  if (running_) tell_carrier(index);
}

void QemuMachine::tell_carrier(std::size_t index) {
  // QEMU 7.2 takes a vhost-user card's rings over when its link goes down, and the guest's driver hangs.
  if (cards_[index]->model() == NicModel::virtio_net) return;
  running_->monitor->execute("set_link", {{"name", qemu::card_name(index)}, {"up", static_cast<bool>(carriers_[index])}});
}

// --- PowerSwitch ----------------------------------------------------------------------------------------

vmm::VmStatus QemuMachine::status() const {
  return {state_, std::nullopt, failure_};
}

void QemuMachine::power_on() {
  if (state_ == VmState::running || state_ == VmState::paused)
    throw vmm::VmError(fmt::format("it is {} already", vmm::to_string(state_)));
  begin();
}

void QemuMachine::power_off() {
  end();
  state_ = VmState::off;
  failure_.clear();
}

void QemuMachine::reset() {
  end();
  begin();
}

void QemuMachine::pause() {
  if (state_ != VmState::running) throw vmm::VmError(fmt::format("it is {}, not running", vmm::to_string(state_)));
  running_->monitor->execute("stop");
}

void QemuMachine::resume() {
  if (state_ != VmState::paused) throw vmm::VmError(fmt::format("it is {}, not paused", vmm::to_string(state_)));
  running_->monitor->execute("cont");
}

bool QemuMachine::press_power_button() {
  if (!running_) return false;
  running_->monitor->execute("system_powerdown");
  return true;
}

// --- the process ----------------------------------------------------------------------------------------

void QemuMachine::begin() {
  state_ = VmState::off;
  failure_.clear();
  qemu::Machine machine = machine_;
  Sockets console = socket_pair();
  Sockets monitor = socket_pair();
  Sockets agent = socket_pair();
  machine.console = console.theirs.get();
  machine.monitor = monitor.theirs.get();
  machine.agent = agent.theirs.get();
  std::vector<int> inherited{machine.console, machine.monitor, machine.agent};
  for (const FileDescriptor& file : files_)
    inherited.push_back(file.get());
  for (const auto& card : cards_) {
    machine.cards.push_back(card->connect());
    if (machine.cards.back().datagrams >= 0) inherited.push_back(machine.cards.back().datagrams);
  }
  std::vector<std::string> words = qemu::command_line(machine);
  words.insert(words.begin(), program_);
  auto running = std::make_unique<Running>();
  running->monitor = std::make_unique<qemu::QmpClient>(
      loop_, std::move(monitor.ours),
      [this](const std::string& name, const control::Json& data) { on_event(name, data); });
  running->console = std::make_unique<LoopWatch>(loop_, std::move(console.ours), [this] { read_console(); });
  running->process = std::make_unique<qemu::ChildProcess>(loop_, std::move(words), inherited,
                                                          [this](const std::string& how) { on_exit(how); });
  running_ = std::move(running);
  for (const auto& card : cards_)
    card->forget_descriptor();
  for (std::size_t i = 0; i < cards_.size(); ++i)
    if (!carriers_[i]) tell_carrier(i);
  agent_line_.attach(std::move(agent.ours), [this] {
    if (running_) running_->monitor->process();
  });
  state_ = VmState::running;
}

void QemuMachine::end() noexcept {
  if (!running_) return;
  running_->process->ask_to_end();
  // It ends the conversation with the cards' back ends first, and waits for their answers.
  std::vector<pollfd> waits{{running_->process->pid_fd(), POLLIN, 0}};
  for (const auto& card : cards_)
    waits.push_back({card->service_fd(), POLLIN, 0});  // negative ones are left out by poll()
  const auto deadline = std::chrono::steady_clock::now() + kEndLimit;
  for (auto left = kEndLimit; left.count() > 0 && waits[0].revents == 0;
       left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())) {
    (void)::poll(waits.data(), waits.size(), static_cast<int>(left.count()));
    for (std::size_t i = 0; i < cards_.size(); ++i)
      if (waits[i + 1].revents != 0) cards_[i]->serve();
  }
  let_go();
}

void QemuMachine::let_go() noexcept {
  running_.reset();
  agent_line_.detach();
  for (const auto& card : cards_)
    card->disconnect();
}

void QemuMachine::on_event(const std::string& name, const control::Json& data) {
  if (name == "STOP") {
    state_ = VmState::paused;
  } else if (name == "RESUME") {
    state_ = VmState::running;
  } else if (name == "SHUTDOWN") {
    const auto reason = data.find("reason");
    if (reason != data.end() && reason->is_string()) running_->shutdown = reason->get<std::string>();
  } else if (name == "VSERPORT_CHANGE" && data.value("id", control::Json()) == qemu::kAgentPort) {
    agent_line_.set_open(data.value("open", control::Json()) == true);
  }
}

void QemuMachine::on_exit(const std::string& how) {
  running_->monitor->process();
  read_console();
  const std::string why = running_->shutdown;
  let_go();
  if (why == "guest-shutdown") {
    state_ = VmState::off;
  } else if (why == "guest-reset") {
    try {
      begin();
    } catch (const std::exception& error) {
      state_ = VmState::crashed;
      failure_ = fmt::format("it cannot be started anew after a reset: {}", error.what());
    }
  } else {
    state_ = VmState::crashed;
    failure_ = "QEMU " + how;
  }
}

void QemuMachine::read_console() {
  std::array<std::byte, 4096> output;
  while (running_ && running_->console) {
    const ssize_t count = ::recv(running_->console->fd(), output.data(), output.size(), MSG_DONTWAIT);
    if (count > 0) {
      console_.write(std::span(output).first(static_cast<std::size_t>(count)));
    } else if (count < 0 && errno == EINTR) {
      continue;
    } else {
      if (count == 0) running_->console.reset();
      return;
    }
  }
}

}  // namespace patchbay::tools
