// The wait device with a guest on it: sleep, work, deadline, console, power button, and every interruption of
// a sleep.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <thread>

#include "machine.h"

namespace patchbay::vmm {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kWork = 1;
constexpr std::uint64_t kConsole = 2;
constexpr std::uint64_t kButton = 4;

std::uint64_t both(std::uint64_t bits) {
  return bits << 32 | bits;
}

class WaitTest : public VmmTest {
 protected:
  void SetUp() override {
    VmmTest::SetUp();
    if (IsSkipped()) return;
    function_ = std::make_shared<ScratchFunction>();
    machine_ =
        std::make_unique<Machine>("wait", [&](VmConfig& config) { config.functions.push_back(function_); });
    (*machine_)->power_on();
    const std::uint16_t enable = 0x8000;
    const std::uint32_t unmask = 0;
    function_->bar_write(2, 12, std::as_bytes(std::span(&unmask, 1)));
    function_->config_write(0x42, std::as_bytes(std::span(&enable, 1)));
  }

  /// Waits for wake-up number `n` and returns its record.
  std::uint64_t wake_up(std::uint64_t n) {
    EXPECT_TRUE(machine_->wait_until([&] { return (machine_->result() & 0xFFFF'FFFF) >= n; }))
        << (*machine_)->status().failure;
    return machine_->result(static_cast<std::int64_t>(n));
  }
  std::uint64_t wake_ups() { return machine_->result() & 0xFFFF'FFFF; }
  void type(const std::string& text) {
    EXPECT_EQ((*machine_)->console_input(std::as_bytes(std::span(text))), text.size());
  }
  /// Lets the guest fall asleep.
  static void settle() { std::this_thread::sleep_for(30ms); }

  std::shared_ptr<ScratchFunction> function_;
  std::unique_ptr<Machine> machine_;
};

TEST_F(WaitTest, MessagesOfDevicesWakeTheGuest) {
  settle();
  EXPECT_EQ(wake_ups(), 0U);
  EXPECT_TRUE(function_->raise(0));
  EXPECT_EQ(wake_up(1), both(kWork));
  settle();
  EXPECT_EQ(wake_ups(), 1U) << "one message, one wake-up";
  EXPECT_TRUE(function_->raise(0));
  EXPECT_EQ(wake_up(2), both(kWork));
}

TEST_F(WaitTest, WorkBeforeTheGuestNamedItsControlBlockIsNotLost) {
  (*machine_)->reset();
  (*machine_)->press_power_button();  // most likely before its first instruction
  EXPECT_TRUE(machine_->wait_for_state(VmState::off));
  EXPECT_EQ((*machine_)->status().exit_status, 7U);
}

TEST_F(WaitTest, DeadlinePasses) {
  settle();
  KvmVm vm = shared_kvm()->create_vm();
  machine_->set_result(-1, std::uint64_t{vm.create_vcpu(0).tsc_khz()} * 30);  // 30 ms
  type("d");
  EXPECT_EQ(wake_up(1), both(kConsole));
  const auto begin = Clock::now();
  EXPECT_EQ(wake_up(2), 0U) << "no bits: the deadline";
  const auto slept = Clock::now() - begin;
  EXPECT_GT(slept, 20ms);
  EXPECT_LT(slept, 500ms);
  settle();
  EXPECT_EQ(wake_ups(), 2U);
}

TEST_F(WaitTest, DeadlineInThePastReturnsAtOnce) {
  machine_->set_result(-1, 1);
  type("d");
  EXPECT_EQ(wake_up(2), 0U);
}

TEST_F(WaitTest, ConsoleInputWakesAndIsEchoed) {
  settle();
  type("hello");
  EXPECT_TRUE(machine_->wait_until([&] { return machine_->console() == "hello"; })) << machine_->console();
  EXPECT_EQ(wake_up(1), both(kConsole));
}

TEST_F(WaitTest, PowerButton) {
  settle();
  EXPECT_TRUE((*machine_)->press_power_button());
  EXPECT_EQ(wake_up(1), both(kButton));
  EXPECT_TRUE(machine_->wait_for_state(VmState::off));
  EXPECT_EQ((*machine_)->status().exit_status, 7U);
}

TEST_F(WaitTest, PauseAndResumeAreInvisibleToASleeper) {
  settle();
  for (int i = 0; i < 20; ++i) {
    (*machine_)->pause();
    EXPECT_EQ((*machine_)->state(), VmState::paused);
    (*machine_)->resume();
  }
  settle();
  EXPECT_EQ(wake_ups(), 0U);
  EXPECT_TRUE(function_->raise(0));
  EXPECT_EQ(wake_up(1), both(kWork));
}

TEST_F(WaitTest, WorkDuringAPauseIsSeenAfterIt) {
  settle();
  (*machine_)->pause();
  EXPECT_TRUE(function_->raise(0));
  settle();
  EXPECT_EQ(wake_ups(), 0U);
  (*machine_)->resume();
  EXPECT_EQ(wake_up(1), both(kWork));
}

TEST_F(WaitTest, PowerOffWhileWaiting) {
  settle();
  const auto begin = Clock::now();
  (*machine_)->power_off();
  EXPECT_LT(Clock::now() - begin, 2s);
  EXPECT_EQ((*machine_)->state(), VmState::off);
  EXPECT_FALSE((*machine_)->press_power_button()) << "nobody is there to be told; harmless on a machine that is off";
}

TEST_F(WaitTest, ManyMessagesWakeWithoutLoss) {
  // Each message comes after the guest noted the one before: every single one must end the sleep.
  for (std::uint64_t n = 1; n <= 300; ++n) {
    EXPECT_TRUE(function_->raise(0));
    ASSERT_EQ(wake_up(n), both(kWork)) << n;
  }
}

TEST_F(WaitTest, SleepingGuestCostsNoProcessorTime) {
  settle();
  rusage before{};
  rusage after{};
  ::getrusage(RUSAGE_SELF, &before);
  std::this_thread::sleep_for(200ms);
  ::getrusage(RUSAGE_SELF, &after);
  const auto micros = [](const rusage& r) {
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1'000'000 + r.ru_utime.tv_usec + r.ru_stime.tv_usec;
  };
  EXPECT_LT(micros(after) - micros(before), 4000) << "two percent";
}

}  // namespace
}  // namespace patchbay::vmm
