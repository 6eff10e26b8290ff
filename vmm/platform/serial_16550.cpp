#include "vmm/platform/serial_16550.h"

#include <algorithm>

namespace patchbay::vmm {
namespace {

enum SerialRegister : unsigned {
  kData = 0,             // RBR / THR, divisor low with DLAB
  kInterruptEnable = 1,  // IER, divisor high with DLAB
  kInterruptId = 2,      // IIR / FCR
  kLineControl = 3,      // LCR
  kModemControl = 4,     // MCR
  kLineStatus = 5,       // LSR
  kModemStatus = 6,      // MSR
  kScratch = 7,          // SCR
};

constexpr std::uint8_t kIerReceived = 0x01;
constexpr std::uint8_t kIerTransmitterEmpty = 0x02;
constexpr std::uint8_t kIerModemStatus = 0x08;

constexpr std::uint8_t kIirModemStatus = 0x00;
constexpr std::uint8_t kIirNone = 0x01;
constexpr std::uint8_t kIirTransmitterEmpty = 0x02;
constexpr std::uint8_t kIirReceived = 0x04;
constexpr std::uint8_t kIirTimeout = 0x0C;
constexpr std::uint8_t kIirFifos = 0xC0;

constexpr std::uint8_t kFcrEnable = 0x01;
constexpr std::uint8_t kFcrClearReceiver = 0x02;
constexpr std::uint8_t kFcrKept = 0xC9;  // enable, DMA mode, trigger level

constexpr std::uint8_t kLcrDivisorAccess = 0x80;
constexpr std::uint8_t kMcrLoopback = 0x10;

constexpr std::uint8_t kLsrDataReady = 0x01;
constexpr std::uint8_t kLsrTransmitterEmpty = 0x60;  // holding register and shift register

constexpr std::uint8_t kMsrConnected = 0xB0;  // carrier, data set ready, clear to send

}  // namespace

std::size_t Serial16550::push_input(std::span<const std::byte> data) {
  std::size_t accepted;
  {
    const std::lock_guard lock(mutex_);
    accepted = std::min(data.size(), kMaxWaitingInput - std::min(input_.size(), kMaxWaitingInput));
    for (const std::byte byte : data.first(accepted))
      input_.push_back(static_cast<std::uint8_t>(byte));
    update_interrupt();
  }
  if (accepted != 0 && host_.input_arrived) host_.input_arrived();
  return accepted;
}

void Serial16550::reset() noexcept {
  const std::lock_guard lock(mutex_);
  input_.clear();
  interrupt_enable_ = fifo_control_ = line_control_ = modem_control_ = scratch_ = 0;
  last_modem_inputs_ = kMsrConnected;
  modem_changes_ = 0;
  divisor_ = 1;
  transmitter_empty_event_ = false;
  update_interrupt();
}

void Serial16550::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size(); ++i) {
    data[i] = offset + i < kPorts ? static_cast<std::byte>(read_register(static_cast<unsigned>(offset + i)))
                                  : std::byte{0xFF};
  }
  update_interrupt();
}

void Serial16550::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size() && offset + i < kPorts; ++i) {
    write_register(static_cast<unsigned>(offset + i), static_cast<std::uint8_t>(data[i]));
  }
  update_interrupt();
}

void Serial16550::write_string(std::uint64_t offset, std::size_t size,
                               std::span<const std::byte> data) noexcept {
  {
    const std::lock_guard lock(mutex_);
    const bool plain_output = offset == kData && size == 1 && (line_control_ & kLcrDivisorAccess) == 0 &&
                              (modem_control_ & kMcrLoopback) == 0;
    if (plain_output) {
      transmit(data);
      update_interrupt();
      return;
    }
  }
  PortDevice::write_string(offset, size, data);
}

void Serial16550::transmit(std::span<const std::byte> data) noexcept {
  if (host_.output) host_.output(data);
  transmitter_empty_event_ = true;
}

std::uint8_t Serial16550::read_register(unsigned index) noexcept {
  const bool divisor_access = (line_control_ & kLcrDivisorAccess) != 0;
  switch (index) {
    case kData: {
      if (divisor_access) return static_cast<std::uint8_t>(divisor_);
      if (input_.empty()) return 0;
      const std::uint8_t value = input_.front();
      input_.pop_front();
      return value;
    }
    case kInterruptEnable:
      return divisor_access ? static_cast<std::uint8_t>(divisor_ >> 8) : interrupt_enable_;
    case kInterruptId: {
      const std::uint8_t id = interrupt_identification();
      if (id == kIirTransmitterEmpty) transmitter_empty_event_ = false;
      return static_cast<std::uint8_t>(id | ((fifo_control_ & kFcrEnable) != 0 ? kIirFifos : 0));
    }
    case kLineControl:
      return line_control_;
    case kModemControl:
      return modem_control_;
    case kLineStatus:
      return static_cast<std::uint8_t>(kLsrTransmitterEmpty | (input_.empty() ? 0 : kLsrDataReady));
    case kModemStatus: {
      const std::uint8_t status = modem_status();
      modem_changes_ = 0;
      return status;
    }
    default:
      return scratch_;
  }
}

void Serial16550::write_register(unsigned index, std::uint8_t value) noexcept {
  const bool divisor_access = (line_control_ & kLcrDivisorAccess) != 0;
  switch (index) {
    case kData:
      if (divisor_access) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0xFF00) | value);
      } else if ((modem_control_ & kMcrLoopback) != 0) {
        if (input_.size() < kMaxWaitingInput) input_.push_back(value);
        transmitter_empty_event_ = true;
      } else {
        const auto byte = static_cast<std::byte>(value);
        transmit(std::span(&byte, 1));
      }
      break;
    case kInterruptEnable:
      if (divisor_access) {
        divisor_ = static_cast<std::uint16_t>((divisor_ & 0x00FF) | value << 8);
      } else {
        // Enabling the interrupt of an empty transmitter raises it: drivers start their output so.
        const bool newly =
            (value & kIerTransmitterEmpty) != 0 && (interrupt_enable_ & kIerTransmitterEmpty) == 0;
        transmitter_empty_event_ = transmitter_empty_event_ || newly;
        interrupt_enable_ = value & 0x0F;
      }
      break;
    case kInterruptId:
      write_fifo_control(value);
      break;
    case kLineControl:
      line_control_ = value;
      break;
    case kModemControl:
      modem_control_ = value & 0x1F;
      (void)modem_status();  // notes the changes that loop-back makes
      break;
    case kScratch:
      scratch_ = value;
      break;
    default:  // LSR and MSR are read-only
      break;
  }
}

void Serial16550::write_fifo_control(std::uint8_t value) noexcept {
  // Without the enable bit the others are not programmed. Changing it clears the FIFOs of a real part; here
  // input waits on the host's side of the line, so only an explicit clear throws it away.
  const bool enable = (value & kFcrEnable) != 0;
  if (enable && (value & kFcrClearReceiver) != 0) input_.clear();
  fifo_control_ = enable ? value & kFcrKept : 0;
}

std::size_t Serial16550::trigger_level() const noexcept {
  constexpr std::size_t kLevels[] = {1, 4, 8, 14};
  return (fifo_control_ & kFcrEnable) == 0 ? 1 : kLevels[fifo_control_ >> 6];
}

std::uint8_t Serial16550::interrupt_identification() noexcept {
  if ((interrupt_enable_ & kIerReceived) != 0 && !input_.empty()) {
    // Below the trigger level the FIFO reports a time-out; no line is that slow here, so it comes at once.
    return input_.size() >= trigger_level() ? kIirReceived : kIirTimeout;
  }
  if ((interrupt_enable_ & kIerTransmitterEmpty) != 0 && transmitter_empty_event_)
    return kIirTransmitterEmpty;
  if ((interrupt_enable_ & kIerModemStatus) != 0 && (modem_status() & 0x0F) != 0) return kIirModemStatus;
  return kIirNone;
}

std::uint8_t Serial16550::modem_status() noexcept {
  std::uint8_t inputs = kMsrConnected;
  if ((modem_control_ & kMcrLoopback) != 0) {
    // Loop-back ties DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
    inputs = static_cast<std::uint8_t>((modem_control_ & 0x0C) << 4 | (modem_control_ & 0x02) << 3 |
                                       (modem_control_ & 0x01) << 5);
  }
  const auto changed = static_cast<std::uint8_t>(inputs ^ last_modem_inputs_);
  modem_changes_ |= (changed & 0xB0) >> 4;
  if ((last_modem_inputs_ & 0x40) != 0 && (inputs & 0x40) == 0)
    modem_changes_ |= 0x04;  // trailing edge of RI
  last_modem_inputs_ = inputs;
  return static_cast<std::uint8_t>(inputs | modem_changes_);
}

void Serial16550::update_interrupt() noexcept {
  if (host_.pin != nullptr) host_.pin->set(interrupt_identification() != kIirNone);
}

}  // namespace patchbay::vmm
