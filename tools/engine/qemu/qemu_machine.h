// A `vm` under QEMU's TCG, for hosts whose KVM does not run an operating system's kernel: a process of its own, that
// shares the guest's memory with the switch. To users it is the machine that KvmMachine is. Every power-on and reset is
// a new process, so nothing of one boot is left in the next one but the disks.
//
// Threads: everything on the engine's main thread.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tools/engine/guest_machine.h"
#include "tools/engine/loop_console.h"
#include "tools/engine/loop_watch.h"
#include "tools/engine/machine_services.h"
#include "tools/engine/qemu/attached_card.h"
#include "tools/engine/qemu/child_process.h"
#include "tools/engine/qemu/command_line.h"
#include "tools/engine/qemu/qmp_client.h"
#include "tools/engine/qemu/socket_agent_line.h"
#include "tools/engine/run_directory.h"
#include "tools/lab/model.h"

namespace patchbay::tools {

class QemuMachine final : public GuestMachine, private PowerSwitch {
 public:
  /// Prepares disks, cards and console; no process yet. `services` and `loop` outlive it. Throws std::runtime_error,
  /// std::system_error and ImageError with the cause.
  QemuMachine(const std::filesystem::path& program, MachineServices& services, const Node& node,
              const RunDirectory& directory, boost::asio::io_context& loop);
  ~QemuMachine() override;

  [[nodiscard]] vswitch::Port& port(std::size_t index) override { return cards_[index]->port(); }
  [[nodiscard]] std::string_view hardware(std::size_t index) const override {
    return to_string(cards_[index]->model());
  }
  void set_carrier(std::size_t index, bool up) override;
  [[nodiscard]] PowerSwitch& power() override { return *this; }
  [[nodiscard]] const PowerSwitch& power() const override { return *this; }
  [[nodiscard]] bool has_started() const override { return running_ && running_->monitor->is_ready(); }
  [[nodiscard]] AgentLine& agent_line() override { return agent_line_; }
  [[nodiscard]] const std::string& console_path() const override { return console_.path(); }
  /// "qemu_pid" while there is a process.
  [[nodiscard]] control::Json facts() const override;

 private:
  struct Running {
    std::unique_ptr<qemu::ChildProcess> process;
    std::unique_ptr<qemu::QmpClient> monitor;
    std::unique_ptr<LoopWatch> console;
    std::string shutdown;  // QEMU's reason for its end, once it has told it
  };

  // PowerSwitch
  [[nodiscard]] vmm::VmStatus status() const override;
  void power_on() override;
  void power_off() override;
  void reset() override;
  void pause() override;
  void resume() override;
  bool press_power_button() override;

  void add_disks(const VmBoot& boot);
  void begin();
  void tell_carrier(std::size_t index);
  /// Ends the process, if there is one, as QEMU likes to end if it does so at once.
  void end() noexcept;
  void let_go() noexcept;
  void on_event(const std::string& name, const control::Json& data);
  void on_exit(const std::string& how);
  void read_console();

  boost::asio::io_context& loop_;
  const std::string program_;
  qemu::Machine machine_;  // but for cards, sockets
  std::vector<vswitch::FileDescriptor> files_;  // images and overlays
  std::vector<std::unique_ptr<qemu::AttachedCard>> cards_;
  std::vector<bool> carriers_;  // of the cards
  qemu::SocketAgentLine agent_line_;
  LoopConsole console_;
  vmm::VmState state_ = vmm::VmState::off;
  std::string failure_;
  std::unique_ptr<Running> running_;
};

}  // namespace patchbay::tools
