#include "vmm/platform/cmos_clock.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace patchbay::vmm {
namespace {

using namespace std::chrono_literals;

enum ClockRegister : std::uint8_t {
  kSeconds = 0x00,
  kSecondsAlarm = 0x01,
  kMinutes = 0x02,
  kMinutesAlarm = 0x03,
  kHours = 0x04,
  kHoursAlarm = 0x05,
  kWeekday = 0x06,
  kDay = 0x07,
  kMonth = 0x08,
  kYear = 0x09,
  kRegisterA = 0x0A,
  kRegisterB = 0x0B,
  kRegisterC = 0x0C,
  kRegisterD = 0x0D,
};

constexpr std::uint8_t kUpdateInProgress = 0x80;  // A
constexpr std::uint8_t kDefaultA = 0x26;          // 32,768 Hz crystal, 1,024 Hz periodic rate
constexpr std::uint8_t kSet = 0x80;               // B: the guest is setting the time
constexpr std::uint8_t kBinary = 0x04;            // B
constexpr std::uint8_t k24Hours = 0x02;           // B
constexpr std::uint8_t kAfternoon = 0x80;         // hours, on a 12-hour clock
constexpr std::uint8_t kValid = 0x80;             // D: the battery is fine

// The same bits enable interrupts in B and report them in C.
constexpr std::uint8_t kPeriodic = 0x40;
constexpr std::uint8_t kAlarm = 0x20;
constexpr std::uint8_t kUpdateEnded = 0x10;
constexpr std::uint8_t kInterrupts = kPeriodic | kAlarm | kUpdateEnded;
constexpr std::uint8_t kInterruptRequest = 0x80;  // C

constexpr auto kUpdateTime = 244us;  // data sheet: how long before an update the bit is set

bool is_time(std::uint8_t index) {
  return index == kSeconds || index == kMinutes || index == kHours || (index >= kWeekday && index <= kYear) ||
         index == CmosClock::kCentury;
}

}  // namespace

std::array<std::uint8_t, 128> CmosClock::initial() noexcept {
  std::array<std::uint8_t, 128> registers{};
  registers[kRegisterA] = kDefaultA;
  registers[kRegisterB] = k24Hours;
  registers[kRegisterD] = kValid;
  return registers;
}

CmosClock::~CmosClock() {
  stop_ticking();
}

void CmosClock::stop_ticking() noexcept {
  std::thread ended;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ended = std::move(ticker_);
  }
  changed_.notify_all();
  if (ended.joinable()) ended.join();
}

void CmosClock::reset() noexcept {
  stop_ticking();
  const std::lock_guard lock(mutex_);
  stopping_ = false;
  index_ = 0;
  registers_[kRegisterB] = static_cast<std::uint8_t>(registers_[kRegisterB] & ~(kInterrupts | kSet));
  registers_[kRegisterC] = 0;
  update_interrupt();
}

CmosClock::Time CmosClock::now() const noexcept {
  return std::chrono::system_clock::now() + offset_;
}

std::uint8_t CmosClock::encoded(unsigned value) const noexcept {
  const bool binary = (registers_[kRegisterB] & kBinary) != 0;
  return static_cast<std::uint8_t>(binary ? value : value / 10 << 4 | value % 10);
}

unsigned CmosClock::decoded(std::uint8_t value) const noexcept {
  return (registers_[kRegisterB] & kBinary) != 0 ? value : (value >> 4) * 10U + (value & 0xF);
}

void CmosClock::show(Time time) noexcept {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  const auto hour = static_cast<unsigned>(clock.hours().count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  registers_[kSeconds] = encoded(static_cast<unsigned>(clock.seconds().count()));
  registers_[kMinutes] = encoded(static_cast<unsigned>(clock.minutes().count()));
  if ((registers_[kRegisterB] & k24Hours) != 0) {
    registers_[kHours] = encoded(hour);
  } else {
    registers_[kHours] =
        static_cast<std::uint8_t>(encoded((hour + 11) % 12 + 1) | (hour >= 12 ? kAfternoon : 0));
  }
  registers_[kWeekday] = encoded(std::chrono::weekday(day).c_encoding() + 1);
  registers_[kDay] = encoded(static_cast<unsigned>(date.day()));
  registers_[kMonth] = encoded(static_cast<unsigned>(date.month()));
  registers_[kYear] = encoded(year % 100);
  registers_[kCentury] = encoded(year / 100 % 100);
}

CmosClock::Time CmosClock::shown() const noexcept {
  unsigned hour = decoded(registers_[kHours]);
  if ((registers_[kRegisterB] & k24Hours) == 0) {
    const bool afternoon = (registers_[kHours] & kAfternoon) != 0;
    hour = decoded(static_cast<std::uint8_t>(registers_[kHours] & ~kAfternoon)) % 12 + (afternoon ? 12 : 0);
  }
  // Nanoseconds since 1970 in 64 bits reach to 2262, and so must the difference to the host's time.
  const auto year =
      std::clamp(static_cast<int>(decoded(registers_[kCentury]) * 100 + decoded(registers_[kYear])), 1970, 2200);
  // Impossible dates, which a guest may well write, carry over into the next month.
  const std::chrono::year_month_day first{std::chrono::year(year),
                                          std::chrono::month(std::clamp(decoded(registers_[kMonth]), 1U, 12U)),
                                          std::chrono::day(1)};
  return std::chrono::sys_days(first) + std::chrono::days(decoded(registers_[kDay])) - std::chrono::days(1) +
         std::chrono::hours(hour) + std::chrono::minutes(decoded(registers_[kMinutes])) +
         std::chrono::seconds(decoded(registers_[kSeconds]));
}

std::chrono::nanoseconds CmosClock::period() const noexcept {
  // Data sheet, table 3, with the 32,768 Hz crystal: rates 1 and 2 are those of 8 and 9.
  unsigned rate = registers_[kRegisterA] & 0x0F;
  if (rate == 0) return 0ns;
  if (rate <= 2) rate += 7;
  return std::chrono::nanoseconds(1'000'000'000LL * (1LL << (rate - 1)) / 32'768);
}

bool CmosClock::alarm_matches() noexcept {
  constexpr std::uint8_t kAny = 0xC0;
  return std::ranges::all_of(std::array{kSeconds, kMinutes, kHours}, [&](ClockRegister at) {
    const std::uint8_t alarm = registers_[at + 1];
    return (alarm & kAny) == kAny || alarm == registers_[at];
  });
}

void CmosClock::update_interrupt() noexcept {
  const bool request = (registers_[kRegisterC] & registers_[kRegisterB] & kInterrupts) != 0;
  registers_[kRegisterC] =
      static_cast<std::uint8_t>((registers_[kRegisterC] & kInterrupts) | (request ? kInterruptRequest : 0));
  interrupt_.set(request);
}

std::uint8_t CmosClock::read_register(std::uint8_t index) noexcept {
  const bool setting = (registers_[kRegisterB] & kSet) != 0;
  if (is_time(index) && !setting) show(now());
  if (index == kRegisterA) {
    const auto left = 1s - (now() - std::chrono::floor<std::chrono::seconds>(now()));
    const bool updating = !setting && left <= kUpdateTime;
    return static_cast<std::uint8_t>(registers_[kRegisterA] | (updating ? kUpdateInProgress : 0));
  }
  if (index == kRegisterC) {
    const Time second = std::chrono::floor<std::chrono::seconds>(now());
    if (second != last_update_seen_ && !setting) registers_[kRegisterC] |= kUpdateEnded;
    last_update_seen_ = second;
    const std::uint8_t flags = registers_[kRegisterC];
    registers_[kRegisterC] = 0;  // reading clears
    update_interrupt();
    return flags;
  }
  return registers_[index];
}

void CmosClock::write_register(std::uint8_t index, std::uint8_t value) noexcept {
  const bool setting = (registers_[kRegisterB] & kSet) != 0;
  if (is_time(index)) {
    if (!setting) show(now());
    registers_[index] = value;
    if (!setting) offset_ += shown() - std::chrono::floor<std::chrono::seconds>(now());
    return;
  }
  switch (index) {
    case kRegisterA:
      registers_[index] = value & ~kUpdateInProgress & 0xFF;
      break;
    case kRegisterB: {
      if (!setting && (value & kSet) != 0) show(now());
      // While the time is being set its format may change: the registers are read in the format that holds in the end.
      registers_[index] = value;
      if (setting && (value & kSet) == 0) offset_ += shown() - std::chrono::floor<std::chrono::seconds>(now());
      update_interrupt();
      break;
    }
    case kRegisterC:
    case kRegisterD:
      return;  // read-only
    default:
      registers_[index] = value;
      break;
  }
  start_ticking();
}

void CmosClock::start_ticking() noexcept {
  changed_.notify_all();
  if (ticker_.joinable() || stopping_ || (registers_[kRegisterB] & kInterrupts) == 0) return;
  try {
    ticker_ = std::thread([this] { tick(); });
  } catch (const std::system_error&) {
    // The host has no thread left: this clock gives no interrupts until the guest enables them anew.
  }
}

void CmosClock::tick() noexcept {
  std::unique_lock lock(mutex_);
  auto next_period = std::chrono::steady_clock::now();
  while (!stopping_) {
    const std::uint8_t enabled = registers_[kRegisterB] & kInterrupts;
    if (enabled == 0) {
      changed_.wait(lock);
      next_period = std::chrono::steady_clock::now();
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    const Time before = now();
    const Time next_second = std::chrono::floor<std::chrono::seconds>(before) + 1s;
    auto until = start + (next_second - before);
    const bool periodic = (enabled & kPeriodic) != 0 && period() != 0ns;
    if (periodic) {
      if (next_period + 1s < start) next_period = start;
      until = std::min(until, next_period + period());
    }
    changed_.wait_until(lock, until);
    if (stopping_) break;
    if (periodic && std::chrono::steady_clock::now() >= next_period + period()) {
      next_period += period();
      registers_[kRegisterC] |= kPeriodic;
    }
    if (now() >= next_second && (registers_[kRegisterB] & kSet) == 0) {
      registers_[kRegisterC] |= kUpdateEnded;
      last_update_seen_ = std::chrono::floor<std::chrono::seconds>(now());
      show(now());
      if (alarm_matches()) registers_[kRegisterC] |= kAlarm;
    }
    update_interrupt();
  }
}

void CmosClock::read(std::uint64_t offset, std::span<std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  std::fill(data.begin(), data.end(), std::byte{0xFF});
  if (offset == 1 && !data.empty()) data[0] = static_cast<std::byte>(read_register(index_));
}

void CmosClock::write(std::uint64_t offset, std::span<const std::byte> data) noexcept {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < data.size() && offset + i < kPorts; ++i) {
    const auto value = std::to_integer<std::uint8_t>(data[i]);
    if (offset + i == 0) {
      index_ = value & 0x7F;  // bit 7 masks NMI, of which there are none
    } else {
      write_register(index_, value);
    }
  }
}

}  // namespace patchbay::vmm
