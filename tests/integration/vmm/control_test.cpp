// The power switch: off, reset, pause and resume, from whatever the guest is doing, with nothing left over.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "machine.h"

namespace patchbay::vmm {
namespace {

using testing::ElementsAre;
using namespace std::chrono_literals;

std::size_t entries_of(const char* directory) {
  const std::filesystem::directory_iterator entries(directory);
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

/// Threads of virtual processors; the kernel adds helper threads of its own for every machine.
std::size_t vcpu_threads() {
  std::size_t count = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name.rfind("vcpu:", 0) == 0) ++count;
  }
  return count;
}

class ControlTest : public VmmTest, public testing::WithParamInterface<const char*> {};

TEST_P(ControlTest, PausedGuestStandsStill) {
  Machine machine(GetParam());
  machine->power_on();
  ASSERT_TRUE(machine.wait_until([&] { return machine.result() > 100; }));
  machine->pause();
  EXPECT_EQ(machine->state(), VmState::paused);
  const std::uint64_t count = machine.result();
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(machine.result(), count);
  machine->resume();
  EXPECT_EQ(machine->state(), VmState::running);
  EXPECT_TRUE(machine.wait_until([&] { return machine.result() > count; }));
  machine->power_off();
  EXPECT_THAT(machine.states(),
              ElementsAre(VmState::running, VmState::paused, VmState::running, VmState::off));
}

TEST_P(ControlTest, PowerOffWhileSpinningIsQuick) {
  Machine machine(GetParam());
  machine->power_on();
  ASSERT_TRUE(machine.wait_until([&] { return machine.result() > 100; }));
  const auto begin = std::chrono::steady_clock::now();
  machine->power_off();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 2s);
  EXPECT_EQ(machine->state(), VmState::off);
  EXPECT_EQ(machine.result(), 0U) << "memory is given back";
}

TEST_P(ControlTest, ResetStartsAnew) {
  Machine machine(GetParam());
  machine->power_on();
  ASSERT_TRUE(machine.wait_until([&] { return machine.result() > 0; }));
  machine.set_result(1, 77);
  machine->reset();
  EXPECT_EQ(machine->state(), VmState::running);
  EXPECT_EQ(machine.result(1), 0U) << "memory is as at power-on";
  EXPECT_TRUE(machine.wait_until([&] { return machine.result() > 0; }));
  machine->pause();
  machine->reset();
  EXPECT_EQ(machine->state(), VmState::running);
}

TEST_P(ControlTest, PausedMachineCanBePoweredOffAndDestroyed) {
  Machine machine(GetParam());
  machine->power_on();
  machine->pause();
  machine->power_off();
  EXPECT_EQ(machine->state(), VmState::off);
  machine->power_on();
  machine->pause();
}

TEST_P(ControlTest, PausingAgainAndAgainLosesNoKick) {
  Machine machine(GetParam());
  machine->power_on();
  for (int i = 0; i < 100; ++i) {
    machine->pause();
    machine->resume();
  }
  EXPECT_EQ(machine->state(), VmState::running);
}

INSTANTIATE_TEST_SUITE_P(Guests, ControlTest, testing::Values("spin", "spin_supervisor"),
                         [](const auto& instance) { return std::string(instance.param); });

class PowerTest : public VmmTest {};

TEST_F(PowerTest, WrongMomentsAreErrors) {
  Machine machine("spin");
  EXPECT_THROW(machine->pause(), VmError);
  EXPECT_THROW(machine->resume(), VmError);
  machine->power_off();  // off already: nothing to do
  machine->power_on();
  EXPECT_THROW(machine->power_on(), VmError);
  EXPECT_THROW(machine->resume(), VmError);
}

TEST_F(PowerTest, FiftyMachinesComeAndGoAndLeaveNothing) {
  { Machine warm_up("spin"); }
  const std::size_t descriptors = entries_of("/proc/self/fd");
  const std::size_t threads = entries_of("/proc/self/task");
  const auto begin = std::chrono::steady_clock::now();
  {
    std::vector<std::unique_ptr<Machine>> machines;
    for (int i = 0; i < 50; ++i) {
      machines.push_back(std::make_unique<Machine>(
          "wait", [](VmConfig& config) { config.functions.push_back(std::make_shared<ScratchFunction>()); }));
      (*machines.back())->power_on();
    }
    const std::chrono::duration<double, std::milli> up = std::chrono::steady_clock::now() - begin;
    std::printf("50 machines created and started in %.1f ms\n", up.count());
    for (const auto& machine : machines)
      EXPECT_EQ((*machine)->state(), VmState::running);
    EXPECT_EQ(vcpu_threads(), 50U);
  }
  const std::chrono::duration<double, std::milli> all = std::chrono::steady_clock::now() - begin;
  std::printf("and destroyed, in all %.1f ms\n", all.count());
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries_of("/proc/self/task"), threads);
}

TEST_F(PowerTest, OffMachineHoldsNoThreadAndNoVm) {
  Machine machine("spin");
  const std::size_t descriptors = entries_of("/proc/self/fd");
  const std::size_t threads = entries_of("/proc/self/task");
  for (int i = 0; i < 5; ++i) {
    machine->power_on();
    machine->power_off();
  }
  EXPECT_EQ(entries_of("/proc/self/fd"), descriptors);
  EXPECT_EQ(entries_of("/proc/self/task"), threads);
}

}  // namespace
}  // namespace patchbay::vmm
