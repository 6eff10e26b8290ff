// Booting: PVH entry, the way to user mode, command line, modules, and the ways in which a guest ends.
#include <gmock/gmock.h>

#include "machine.h"
#include "vmm/host_probe.h"

namespace patchbay::vmm {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

class BootTest : public VmmTest {};

std::vector<std::byte> bytes_of(const std::string& text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST_F(BootTest, GuestReachesUserModeAndSeesCommandLineAndModule) {
  Machine machine("boot", [](VmConfig& config) {
    config.command_line = "nics=eth0";
    config.modules.push_back({bytes_of("interface eth0\n"), ""});
  });
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::off));
  EXPECT_EQ(machine.result() & 3, 3U) << "privilege level";
  EXPECT_THAT(machine.console(),
              MatchesRegex("ecam=0xe0000000 tsc_khz=[0-9]+ wait=0x600 nics=eth0\ninterface eth0\n"));
  EXPECT_EQ(machine->status().exit_status, 15U);
  EXPECT_THAT(machine.states(), ElementsAre(VmState::running, VmState::off));
}

TEST_F(BootTest, StringOutputIsOneBatchPerInstruction) {
  Machine machine("boot", [](VmConfig& config) {
    config.modules.push_back({bytes_of(std::string(500, 'x')), ""});
  });
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::off));
  EXPECT_THAT(machine.console(), HasSubstr(std::string(500, 'x')));
}

TEST_F(BootTest, MachineCanBePoweredOnAgainAfterTheGuestEnded) {
  Machine machine("boot", [](VmConfig& config) { config.modules.push_back({bytes_of("a"), ""}); });
  for (int i = 0; i < 3; ++i) {
    machine->power_on();
    ASSERT_TRUE(machine.wait_for_state(VmState::off));
    EXPECT_EQ(machine->status().exit_status, 1U);
  }
}

TEST_F(BootTest, TripleFaultEndsInCrashedWithRegisters) {
  Machine machine("triple_fault");
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::crashed));
  // AMD's SVM leaves no state behind after a shutdown, and KVM says so by resetting the processor.
  EXPECT_THAT(machine->status().failure,
              AnyOf(AllOf(HasSubstr("r15=0x5eed"), HasSubstr("rip=0x10")), HasSubstr("registers are lost")));
  EXPECT_THROW(machine->pause(), VmError);
  machine->power_off();
  EXPECT_EQ(machine->state(), VmState::off);
  EXPECT_THAT(machine.states(), ElementsAre(VmState::running, VmState::crashed, VmState::off));
}

TEST_F(BootTest, HaltWithoutInterruptControllerIsReported) {
  Machine machine("halt");
  machine->power_on();
  ASSERT_TRUE(machine.wait_for_state(VmState::crashed));
  EXPECT_THAT(machine->status().failure, HasSubstr("halted"));
}

TEST_F(BootTest, ConfigurationsThatCannotWorkAreRejected) {
  EXPECT_THROW(Machine("boot", [](VmConfig& config) { config.vcpus = 2; }), VmError);
  EXPECT_THROW(Machine("boot", [](VmConfig& config) { config.vcpus = 0; }), VmError);
  EXPECT_THROW(Machine("boot", [](VmConfig& config) { config.kernel = nullptr; }), VmError);
  EXPECT_THROW(Machine("boot", [](VmConfig& config) { config.memory_bytes = 1000; }), std::runtime_error);
}

TEST_F(BootTest, ModuleThatDoesNotFitLeavesTheMachineOff) {
  Machine machine("boot", [](VmConfig& config) {
    config.modules.push_back({std::vector<std::byte>(32ULL << 20), ""});
  });
  EXPECT_THROW(machine->power_on(), ImageError);
  EXPECT_EQ(machine->state(), VmState::off);
}

TEST(KvmSystem, ErrorsNameTheWayOut) {
  try {
    const KvmSystem system("/nonexistent/kvm");
    FAIL() << "opened";
  } catch (const KvmUnavailable& error) {
    EXPECT_THAT(error.what(), HasSubstr("modprobe"));
  }
}

TEST(HostProbe, ReportsTheCauseWithoutKvm) {
  const HostProbe probe = probe_host("/nonexistent/kvm");
  EXPECT_EQ(probe.kind, HostKind::none);
  EXPECT_THAT(probe.problem, HasSubstr("modprobe"));
}

TEST_F(BootTest, HostProbeMeasures) {
  const HostProbe probe = probe_host();
  EXPECT_NE(probe.kind, HostKind::none) << probe.problem;
  EXPECT_GT(probe.supervisor_instructions_per_second, 1e4);
  EXPECT_GT(probe.creation_time.count(), 0);
  RecordProperty("kind", to_string(probe.kind));
  std::printf("host: %s, %.1f M supervisor instructions/s\n", to_string(probe.kind),
              probe.supervisor_instructions_per_second / 1e6);
}

}  // namespace
}  // namespace patchbay::vmm
