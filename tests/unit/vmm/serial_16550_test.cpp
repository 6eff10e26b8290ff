#include "vmm/platform/serial_16550.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace patchbay::vmm {
namespace {

class SerialTest : public testing::Test, public devices::InterruptPin {
 protected:
  void set(bool asserted) noexcept override { interrupt_ = asserted; }

  std::uint8_t in(unsigned offset) {
    std::byte value{};
    serial_.read(offset, std::span(&value, 1));
    return static_cast<std::uint8_t>(value);
  }
  void out(unsigned offset, unsigned value) {
    const auto byte = static_cast<std::byte>(value);
    serial_.write(offset, std::span(&byte, 1));
  }
  std::size_t type(const std::string& text) { return serial_.push_input(std::as_bytes(std::span(text))); }

  std::string output_;
  int batches_ = 0;
  int wake_ups_ = 0;
  bool interrupt_ = false;
  Serial16550 serial_{{.output =
                           [this](std::span<const std::byte> data) {
                             output_.append(reinterpret_cast<const char*>(data.data()), data.size());
                             ++batches_;
                           },
                       .input_arrived = [this] { ++wake_ups_; },
                       .pin = this}};
};

TEST_F(SerialTest, OutputIsNeverBusy) {
  for (const char c : std::string("hello")) {
    EXPECT_EQ(in(5), 0x60);
    out(0, static_cast<unsigned char>(c));
  }
  EXPECT_EQ(output_, "hello");
}

TEST_F(SerialTest, StringOutputIsOneBatch) {
  const std::string text(300, 'x');
  serial_.write_string(0, 1, std::as_bytes(std::span(text)));
  EXPECT_EQ(output_, text);
  EXPECT_EQ(batches_, 1);
}

TEST_F(SerialTest, StringOutputToOtherRegistersIsNotOutput) {
  const std::string text("\x01\x02\x03");
  out(3, 0x80);
  serial_.write_string(0, 1, std::as_bytes(std::span(text)));  // the divisor, three times
  EXPECT_EQ(in(0), 3);
  out(3, 0x03);
  EXPECT_EQ(output_, "");
}

TEST_F(SerialTest, InputIsReadInOrder) {
  EXPECT_EQ(type("ab"), 2U);
  EXPECT_EQ(wake_ups_, 1);
  EXPECT_EQ(in(5), 0x61);
  EXPECT_EQ(in(0), 'a');
  EXPECT_EQ(in(0), 'b');
  EXPECT_EQ(in(5), 0x60);
  EXPECT_EQ(in(0), 0) << "nothing there";
}

TEST_F(SerialTest, InputBeyondTheLimitIsRefused) {
  EXPECT_EQ(type(std::string(Serial16550::kMaxWaitingInput + 10, 'x')), Serial16550::kMaxWaitingInput);
  EXPECT_EQ(type("y"), 0U);
  in(0);
  EXPECT_EQ(type("yz"), 1U);
}

TEST_F(SerialTest, DivisorLatchHidesDataAndInterruptEnable) {
  out(1, 0x0F);
  out(3, 0x83);
  out(0, 0x0C);
  out(1, 0x34);
  EXPECT_EQ(in(0), 0x0C);
  EXPECT_EQ(in(1), 0x34);
  out(3, 0x03);
  EXPECT_EQ(in(1), 0x0F);
  EXPECT_EQ(in(3), 0x03);
  EXPECT_EQ(output_, "");
}

TEST_F(SerialTest, ReservedBitsReadAsZero) {
  out(1, 0xFF);
  EXPECT_EQ(in(1), 0x0F);
  out(4, 0xE0);
  EXPECT_EQ(in(4), 0x00);
  out(5, 0xFF);
  EXPECT_EQ(in(5), 0x60) << "read-only";
}

TEST_F(SerialTest, ScratchAndFifoIdentification) {
  out(7, 0xA5);
  EXPECT_EQ(in(7), 0xA5);
  EXPECT_EQ(in(2), 0x01);
  out(2, 0x01);
  EXPECT_EQ(in(2), 0xC1) << "a 16550A";
  out(2, 0x00);
  EXPECT_EQ(in(2), 0x01);
}

TEST_F(SerialTest, ReceiveInterruptFollowsTheData) {
  out(1, 0x01);
  EXPECT_FALSE(interrupt_);
  type("x");
  EXPECT_TRUE(interrupt_);
  EXPECT_EQ(in(2), 0x04);
  EXPECT_TRUE(interrupt_) << "reading IIR does not clear it";
  in(0);
  EXPECT_FALSE(interrupt_);
  EXPECT_EQ(in(2), 0x01);
}

TEST_F(SerialTest, FifoTriggerLevelAndTimeout) {
  out(2, 0x81);  // eight bytes
  out(1, 0x01);
  type("1234567");
  EXPECT_EQ(in(2), 0xCC) << "below the level: time-out";
  type("8");
  EXPECT_EQ(in(2), 0xC4);
}

TEST_F(SerialTest, FifoClearDropsInput) {
  type("abc");
  out(2, 0x03);
  EXPECT_EQ(in(5), 0x60);
}

TEST_F(SerialTest, EnablingTheFifoKeepsWhatWasTypedAhead) {
  type("abc");
  out(2, 0x01);
  EXPECT_EQ(in(0), 'a');
}

TEST_F(SerialTest, TransmitterInterrupt) {
  out(1, 0x02);
  EXPECT_TRUE(interrupt_) << "enabling it raises it: the transmitter is empty";
  EXPECT_EQ(in(2), 0x02);
  EXPECT_FALSE(interrupt_) << "reading IIR clears it";
  EXPECT_EQ(in(2), 0x01);
  out(0, 'x');
  EXPECT_TRUE(interrupt_);
  out(1, 0x00);
  EXPECT_FALSE(interrupt_);
}

TEST_F(SerialTest, ReceiveHasPriorityOverTransmit) {
  out(1, 0x03);
  type("x");
  EXPECT_EQ(in(2), 0x04);
  in(0);
  EXPECT_EQ(in(2), 0x02);
}

TEST_F(SerialTest, LoopbackReturnsDataAndModemLines) {
  EXPECT_EQ(in(6), 0xB0) << "connected";
  out(4, 0x1A);  // loop-back, OUT2, RTS: the test that Linux does
  EXPECT_EQ(in(6) & 0xF0, 0x90);
  out(0, 'z');
  EXPECT_EQ(output_, "");
  EXPECT_EQ(in(0), 'z');
  out(4, 0x00);
  EXPECT_EQ(in(6) & 0xF0, 0xB0);
}

TEST_F(SerialTest, WideAndStrayAccessesAreHarmless) {
  std::array<std::byte, 8> data{};
  serial_.read(6, data);
  EXPECT_EQ(data[2], std::byte{0xFF}) << "past the last register";
  serial_.write(6, data);
  serial_.read(1000, data);
  serial_.write(1000, data);
  EXPECT_EQ(output_, "");
}

TEST_F(SerialTest, ResetForgetsEverything) {
  out(1, 0x0F);
  out(3, 0x83);
  type("abc");
  serial_.reset();
  EXPECT_FALSE(interrupt_);
  EXPECT_EQ(in(1), 0);
  EXPECT_EQ(in(3), 0);
  EXPECT_EQ(in(5), 0x60);
}

}  // namespace
}  // namespace patchbay::vmm
