// PCI seen from a guest: BARs, the read-only ECAM window, doorbells, message-signalled interrupts.
#include <gmock/gmock.h>
#include <sys/eventfd.h>

#include "machine.h"
#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PciTest : public VmmTest {};

std::uint64_t exits(Machine& machine, ExitKind kind) {
  return machine->statistics().exits[static_cast<std::size_t>(kind)];
}

TEST_F(PciTest, BarAccessesOfEveryWidthArrive) {
  auto function = std::make_shared<ScratchFunction>();
  function->read_value = 0x8877'6655'4433'2211;
  Machine machine("mmio", [&](VmConfig& config) { config.functions.push_back(function); });
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::off)) << machine->status().failure;
  EXPECT_THAT(function->writes(),
              ElementsAre(ScratchFunction::Write{0x10, 1, 0x11}, ScratchFunction::Write{0x20, 2, 0x2222},
                          ScratchFunction::Write{0x30, 4, 0x3333'3333},
                          ScratchFunction::Write{0x40, 8, 0x4444'4444'5555'5555}));
  EXPECT_EQ(machine.result(0), 0x11U);
  EXPECT_EQ(machine.result(1), 0x2211U);
  EXPECT_EQ(machine.result(2), 0x4433'2211U);
  EXPECT_EQ(machine.result(3), 0x8877'6655'4433'2211U);
  EXPECT_EQ(machine.result(4), 0xFFFF'FFFFU) << "no BAR there";
  EXPECT_EQ(exits(machine, ExitKind::memory_write), 4U);
  EXPECT_EQ(exits(machine, ExitKind::memory_read), 5U);
}

TEST_F(PciTest, EcamReadsShowConfigurationSpaceWithoutExits) {
  auto first = std::make_shared<ScratchFunction>();
  auto second = std::make_shared<ScratchFunction>();
  Machine machine("ecam", [&](VmConfig& config) { config.functions = {first, second}; });
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::off)) << machine->status().failure;
  EXPECT_EQ(exits(machine, ExitKind::memory_read), 0U);
  EXPECT_EQ(exits(machine, ExitKind::memory_write), 1U) << "the command register";

  const auto seen = [&](std::uint32_t copy, std::uint32_t offset) {
    std::uint32_t value;
    std::memcpy(&value, machine.results() + copy * 256 + offset, sizeof value);
    return value;
  };
  EXPECT_EQ(seen(0, 0), 0x0008'1B36U) << "the host bridge";
  EXPECT_EQ(seen(1, 0), 0x10F0'1AF4U);
  EXPECT_EQ(seen(1, 4), 0x0010'0003U) << "decoding enabled by the firmware's part, capability list";
  EXPECT_EQ(seen(1, 0x10), 0xC000'0000U) << "BAR 0";
  EXPECT_EQ(seen(1, 0x18), 0xC000'2004U) << "BAR 2, 64 bits, aligned to its size";
  EXPECT_EQ(seen(2, 0x10), 0xC000'4000U);
  EXPECT_EQ(seen(3, 0), 0xFFFF'FFFFU) << "nothing there";
  EXPECT_EQ(seen(4, 4), 0x0010'0006U) << "the guest's write shows at once";
  EXPECT_EQ(first->resets(), 1) << "the end of the machine resets its devices";
  EXPECT_FALSE(first->is_bus_master());
}

TEST_F(PciTest, DoorbellsSignalForWritesOfEveryWidthWithoutExits) {
  const devices::FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  auto function = std::make_shared<ScratchFunction>(event.get());
  Machine machine("doorbell", [&](VmConfig& config) { config.functions.push_back(function); });
  for (int cycle = 0; cycle < 2; ++cycle) {  // the doorbell has to come back with the power
    machine->power_on();
    ASSERT_TRUE(machine.wait_for_state(VmState::off)) << machine->status().failure;
    eventfd_t rings = 0;
    EXPECT_EQ(::eventfd_read(event.get(), &rings), 0);
    EXPECT_EQ(rings, 4U);
    EXPECT_THAT(function->writes(), IsEmpty());
    EXPECT_EQ(exits(machine, ExitKind::memory_write), 0U);
  }
}

TEST_F(PciTest, MessagesReachTheLocalApicThroughIrqfds) {
  auto function = std::make_shared<ScratchFunction>();
  Machine machine("interrupt", [&](VmConfig& config) {
    config.interrupts = Interrupts::irqchip;
    config.functions.push_back(function);
  });
  machine->power_on();
  ASSERT_TRUE(
      machine.wait_until([&] { return machine.result(1) == 1 || machine->state() != VmState::running; }));
  ASSERT_EQ(machine->state(), VmState::running) << machine->status().failure;
  // The driver's part: message 1 to vector 0x40 of processor 0, then enable.
  const auto write_table = [&](std::uint64_t offset, std::uint32_t value) {
    function->bar_write(2, offset, std::as_bytes(std::span(&value, 1)));
  };
  write_table(16, 0xFEE0'0000);
  write_table(24, 0x40);
  write_table(28, 0);
  const std::uint16_t enable = 0x8000;
  EXPECT_FALSE(function->raise(1)) << "not enabled yet";
  function->config_write(0x42, std::as_bytes(std::span(&enable, 1)));
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_TRUE(function->raise(1));
    ASSERT_TRUE(
        machine.wait_until([&] { return machine.result() == i || machine->state() != VmState::running; }));
  }
  ASSERT_TRUE(machine.wait_for_state(VmState::off)) << machine->status().failure;
  EXPECT_EQ(machine->status().exit_status, 3U);
}

TEST_F(PciTest, TooManyFunctionsAreRejected) {
  EXPECT_THROW(Machine("mmio",
                       [](VmConfig& config) {
                         for (int i = 0; i < 32; ++i)
                           config.functions.push_back(std::make_shared<ScratchFunction>());
                       }),
               std::runtime_error);
}

}  // namespace
}  // namespace patchbay::vmm
