// The block device behind a driver: each kind of request, what hostile requests do, resets with requests in
// flight.
#include "devices/block/virtio_block.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "devices/block/overlay_disk.h"
#include "devices/block/raw_disk.h"
#include "tests/unit/block/temporary_image.h"
#include "tests/unit/devices/plain_driver.h"

namespace patchbay::devices::block {
namespace {

using devices::testing::GuestRam;
using devices::testing::PlainDriver;
using testing::TemporaryImage;
using Buffer = devices::testing::DriverRing::Buffer;

constexpr std::size_t kCapacity = 1 << 20;
constexpr std::uint8_t kUntouched = 0xEE;

/// A device and its driver, with a request's three parts at fixed places.
struct Guest {
  explicit Guest(std::unique_ptr<Disk> disk)
      : device(std::move(disk), "disk-1", thread, pool), driver(ram, device) {}

  /// Sends a request and returns its status.
  std::uint8_t request(RequestType type, std::uint64_t sector, std::span<const Buffer> parts) {
    ram.store(header, RequestHeader{static_cast<std::uint32_t>(type), 0, sector});
    ram.store(status, kUntouched);
    std::vector<Buffer> buffers{{header, sizeof(RequestHeader)}};
    buffers.insert(buffers.end(), parts.begin(), parts.end());
    buffers.push_back({status, 1, true});
    driver.ring(0).add(buffers);
    driver.kick(0);
    used = driver.wait_used(0);
    EXPECT_TRUE(used) << "the request was not completed";
    return ram.load<std::uint8_t>(status);
  }
  std::uint8_t request(RequestType type, std::uint64_t sector, std::initializer_list<Buffer> parts) {
    return request(type, sector, std::span(parts.begin(), parts.size()));
  }
  std::uint8_t ranges(RequestType type, std::initializer_list<RangeElement> elements) {
    std::size_t i = 0;
    for (const RangeElement& element : elements)
      ram.store(data + sizeof element * i++, element);
    return request(type, 0, {{data, static_cast<std::uint32_t>(sizeof(RangeElement) * elements.size())}});
  }
  std::string text(std::uint64_t address, std::size_t bytes) const {
    return {reinterpret_cast<const char*>(ram.at(address)), bytes};
  }

  GuestRam ram{4 << 20};
  virtio::DoorbellThread thread;
  IoPool pool;
  VirtioBlock device;
  PlainDriver driver;
  std::uint64_t header = ram.allocate(64);
  std::uint64_t status = ram.allocate(64);
  std::uint64_t data = ram.allocate(1 << 16, 4096);
  std::optional<devices::testing::DriverRing::Used> used;
};

constexpr std::uint8_t kOk = 0;
constexpr std::uint8_t kIoError = 1;
constexpr std::uint8_t kUnsupported = 2;

struct VirtioBlockTest : ::testing::Test {
  TemporaryImage image{kCapacity};
  Guest guest{std::make_unique<RawDisk>(image.path(), false)};
  void SetUp() override { ASSERT_TRUE(guest.driver.start()); }
};

TEST_F(VirtioBlockTest, OffersItsSize) {
  std::uint64_t capacity = 0;
  guest.device.read_config(0, std::as_writable_bytes(std::span(&capacity, 1)));
  EXPECT_EQ(capacity, kCapacity / 512);
  std::array<std::byte, 8> past;
  guest.device.read_config(BlockConfig::kBytes, past);
  EXPECT_EQ(past, (std::array<std::byte, 8>{}));
}

TEST_F(VirtioBlockTest, ReadsWhatItWrote) {
  std::memset(guest.ram.at(guest.data), 'w', 4096);
  EXPECT_EQ(guest.request(RequestType::write, 8, {{guest.data, 1000}, {guest.data + 1000, 3096}}), kOk);
  EXPECT_EQ(guest.used->length, 1U);
  EXPECT_EQ(guest.request(RequestType::flush, 0, {}), kOk);
  EXPECT_EQ(image.content().substr(8 * 512, 4097), std::string(4096, 'w') + 'b');
  EXPECT_EQ(
      guest.request(RequestType::read, 8, {{guest.data + 8192, 512, true}, {guest.data + 12288, 3584, true}}),
      kOk);
  EXPECT_EQ(guest.used->length, 4097U);
  EXPECT_EQ(guest.text(guest.data + 8192, 512), std::string(512, 'w'));
  EXPECT_EQ(guest.text(guest.data + 12288, 3584), std::string(3584, 'w'));
  EXPECT_GE(guest.driver.queue_interrupts(), 3U);
}

TEST_F(VirtioBlockTest, TellsItsSerialNumber) {
  std::memset(guest.ram.at(guest.data), '?', 32);
  EXPECT_EQ(guest.request(RequestType::get_id, 0, {{guest.data, 20, true}}), kOk);
  EXPECT_EQ(guest.text(guest.data, 21), std::string("disk-1") + std::string(14, '\0') + '?');
}

TEST_F(VirtioBlockTest, DiscardsAndZeroes) {
  EXPECT_EQ(guest.ranges(RequestType::write_zeroes, {{1, 1, 0}, {16, 8, RangeElement::kUnmap}}), kOk);
  EXPECT_EQ(guest.ranges(RequestType::discard, {{32, 8, 0}}), kOk);
  const std::string content = image.content();
  EXPECT_EQ(content.substr(512, 513), std::string(512, '\0') + 'b');
  EXPECT_EQ(content.substr(16 * 512, 8 * 512), std::string(8 * 512, '\0'));
}

TEST_F(VirtioBlockTest, RefusesRangesThatMakeNoSense) {
  const std::uint64_t sectors = kCapacity / 512;
  EXPECT_EQ(guest.ranges(RequestType::discard, {{0, 8, RangeElement::kUnmap}}), kUnsupported);
  EXPECT_EQ(guest.ranges(RequestType::write_zeroes, {{0, 8, 2}}), kUnsupported);
  EXPECT_EQ(guest.ranges(RequestType::discard, {{sectors - 1, 2, 0}}), kIoError);
  EXPECT_EQ(guest.ranges(RequestType::discard, {{~0ULL, 1, 0}}), kIoError);
  EXPECT_EQ(guest.ranges(RequestType::discard, {{0, ~0U, 0}}), kIoError);
  EXPECT_EQ(guest.request(RequestType::discard, 0, {{guest.data, 15}}), kIoError);
  EXPECT_EQ(guest.request(RequestType::discard, 0, {}), kIoError);
  EXPECT_EQ(guest.request(RequestType::discard, 0, {{guest.data, 17 * 16}}), kIoError);
  EXPECT_EQ(image.content(), std::string(kCapacity, 'b'));
}

TEST_F(VirtioBlockTest, RefusesAccessPastTheEnd) {
  const std::uint64_t sectors = kCapacity / 512;
  for (const RequestType type : {RequestType::read, RequestType::write}) {
    const bool writable = type == RequestType::read;
    EXPECT_EQ(guest.request(type, sectors, {{guest.data, 512, writable}}), kIoError);
    EXPECT_EQ(guest.request(type, sectors - 1, {{guest.data, 1024, writable}}), kIoError);
    EXPECT_EQ(guest.request(type, ~0ULL, {{guest.data, 512, writable}}), kIoError);
    EXPECT_EQ(guest.request(type, ~0ULL / 512 + 1, {{guest.data, 512, writable}}), kIoError);
    EXPECT_EQ(guest.request(type, 0, {{guest.data, 511, writable}}), kIoError);
    EXPECT_EQ(guest.used->length, 1U);
  }
  EXPECT_EQ(guest.request(RequestType::read, sectors - 1, {{guest.data, 512, true}}), kOk);
  EXPECT_EQ(guest.request(static_cast<RequestType>(99), 0, {}), kUnsupported);
}

TEST_F(VirtioBlockTest, CompletesChainsThatAreNoRequests) {
  // No status, no header, half a header, nothing readable.
  for (const std::vector<Buffer>& chain :
       std::vector<std::vector<Buffer>>{{{guest.header, 16}},
                                        {{guest.status, 1, true}},
                                        {{guest.header, 15}, {guest.status, 1, true}},
                                        {{guest.data, 4096, true}}}) {
    guest.driver.ring(0).add(chain);
    guest.driver.kick(0);
    const auto used = guest.driver.wait_used(0);
    ASSERT_TRUE(used);
    EXPECT_EQ(used->length, 0U);
  }
  EXPECT_EQ(guest.request(RequestType::flush, 0, {}), kOk);
}

TEST_F(VirtioBlockTest, CaresNotHowARequestIsCut) {
  std::memset(guest.ram.at(guest.data), 'x', 512);
  guest.ram.store(guest.header, RequestHeader{1, 0, 3});
  // The header in two pieces, the second with data behind it.
  std::memcpy(guest.ram.at(guest.data + 8192), guest.ram.at(guest.header + 5), 11);
  std::memset(guest.ram.at(guest.data + 8192 + 11), 'x', 512);
  guest.driver.ring(0).add({{guest.header, 5}, {guest.data + 8192, 11 + 512}, {guest.status, 1, true}});
  guest.driver.kick(0);
  ASSERT_TRUE(guest.driver.wait_used(0));
  EXPECT_EQ(image.content().substr(3 * 512, 513), std::string(512, 'x') + 'b');
  // Data and status in one piece.
  guest.ram.store(guest.header, RequestHeader{0, 0, 3});
  guest.driver.ring(0).add({{guest.header, 16}, {guest.data, 513, true}});
  guest.driver.kick(0);
  ASSERT_TRUE(guest.driver.wait_used(0));
  EXPECT_EQ(guest.text(guest.data, 513), std::string(512, 'x') + '\0');
}

TEST_F(VirtioBlockTest, StopsAtABrokenRing) {
  guest.driver.ring(0).offer(4000);
  guest.device.notify(0);
  EXPECT_TRUE(guest.driver.becomes_broken());
  guest.device.write_status(0);
  EXPECT_FALSE(guest.driver.needs_reset());
}

TEST_F(VirtioBlockTest, ServesMoreRequestsThanItHoldsInFlight) {
  std::vector<std::uint64_t> statuses;
  for (unsigned i = 0; i < 20; ++i) {  // three descriptors each
    const std::uint64_t at = guest.ram.allocate(64);
    guest.ram.store(at, RequestHeader{0, 0, i});
    guest.ram.store(at + 32, kUntouched);
    statuses.push_back(at + 32);
    ASSERT_TRUE(guest.driver.ring(0).add({{at, 16}, {guest.data + 512 * i, 512, true}, {at + 32, 1, true}}));
  }
  guest.driver.kick(0);
  for (unsigned i = 0; i < 20; ++i)
    ASSERT_TRUE(guest.driver.wait_used(0));
  for (const std::uint64_t status : statuses)
    EXPECT_EQ(guest.ram.load<std::uint8_t>(status), kOk);
}

TEST(VirtioBlock, NeverWritesToAReadOnlyDisk) {
  const TemporaryImage image(4096);
  Guest guest(std::make_unique<RawDisk>(image.path(), true));
  ASSERT_TRUE(guest.driver.start());
  EXPECT_NE(guest.device.driver_features() & kFeatureReadOnly, 0U);
  EXPECT_EQ(guest.device.offered_features() & kFeatureDiscard, 0U);
  EXPECT_EQ(guest.request(RequestType::write, 0, {{guest.data, 512}}), kIoError);
  EXPECT_EQ(guest.ranges(RequestType::discard, {{0, 8, 0}}), kIoError);
  EXPECT_EQ(guest.ranges(RequestType::write_zeroes, {{0, 8, 0}}), kIoError);
  EXPECT_EQ(guest.request(RequestType::read, 0, {{guest.data, 512, true}}), kOk);
  EXPECT_EQ(image.content(), std::string(4096, 'b'));
}

/// A medium whose requests take as long as the test wants, and that counts flushes.
class SlowDisk final : public Disk {
 public:
  [[nodiscard]] std::uint64_t size() const noexcept override { return 1 << 20; }
  [[nodiscard]] bool read_only() const noexcept override { return false; }
  [[nodiscard]] int read(std::uint64_t, std::span<iovec> pieces) noexcept override {
    started.fetch_add(1);
    while (held.load())
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    for (const iovec& piece : pieces)
      std::memset(piece.iov_base, 'r', piece.iov_len);
    return error.load();
  }
  [[nodiscard]] int write(std::uint64_t, std::span<iovec>) noexcept override { return error.load(); }
  [[nodiscard]] int flush() noexcept override {
    flushes.fetch_add(1);
    return error.load();
  }
  [[nodiscard]] int discard(std::uint64_t, std::uint64_t) noexcept override { return 0; }
  [[nodiscard]] int write_zeroes(std::uint64_t, std::uint64_t, bool) noexcept override { return 0; }

  std::atomic<bool> held{false};
  std::atomic<int> error{0};
  std::atomic<unsigned> started{0};
  std::atomic<unsigned> flushes{0};
};

TEST(VirtioBlock, WaitsForRequestsInFlightAtAReset) {
  auto medium = std::make_unique<SlowDisk>();
  SlowDisk& disk = *medium;
  Guest guest(std::move(medium));
  ASSERT_TRUE(guest.driver.start());
  disk.held = true;
  for (unsigned i = 0; i < 6; ++i) {  // more than the pool has threads
    const std::uint64_t at = guest.ram.allocate(64);
    guest.ram.store(at, RequestHeader{0, 0, 0});
    guest.driver.ring(0).add({{at, 16}, {guest.data + 4096 * i, 4096, true}, {at + 32, 1, true}});
  }
  guest.driver.kick(0);
  while (disk.started.load() < 2)
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    disk.held = false;
  });
  guest.device.write_status(0);
  EXPECT_FALSE(disk.held.load()) << "the reset did not wait";
  // From here on the memory is the next driver's: nothing may appear in it.
  std::memset(guest.ram.at(guest.data), '-', 6 * 4096);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(guest.text(guest.data, 6 * 4096), std::string(6 * 4096, '-'));
  release.join();
}

TEST(VirtioBlock, CanGoWithRequestsInFlight) {
  for (int round = 0; round < 20; ++round) {
    auto medium = std::make_unique<SlowDisk>();
    Guest guest(std::move(medium));
    ASSERT_TRUE(guest.driver.start());
    for (unsigned i = 0; i < 10; ++i)
      guest.driver.ring(0).add({{guest.header, 16}, {guest.data, 512, true}, {guest.status, 1, true}});
    guest.driver.kick(0);
  }
}

TEST(VirtioBlock, ReportsErrorsOfTheMedium) {
  auto medium = std::make_unique<SlowDisk>();
  SlowDisk& disk = *medium;
  Guest guest(std::move(medium));
  ASSERT_TRUE(guest.driver.start());
  disk.error = ENOSPC;
  EXPECT_EQ(guest.request(RequestType::write, 0, {{guest.data, 512}}), kIoError);
  EXPECT_EQ(guest.request(RequestType::flush, 0, {}), kIoError);
  EXPECT_EQ(guest.device.failed_requests(), 2U);
}

TEST(VirtioBlock, WritesThroughForDriversWithoutFlush) {
  auto medium = std::make_unique<SlowDisk>();
  SlowDisk& disk = *medium;
  Guest guest(std::move(medium));
  ASSERT_TRUE(guest.driver.start(kFeatureFlush | virtio::kFeatureEventIndex));
  EXPECT_EQ(guest.request(RequestType::write, 0, {{guest.data, 512}}), kOk);
  EXPECT_EQ(disk.flushes.load(), 1U);
}

}  // namespace
}  // namespace patchbay::devices::block
