#include "vmm/guest_ram.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <stdexcept>
#include <vector>

#include "vmm/memory_map.h"

namespace patchbay::vmm {
namespace {

std::size_t resident_pages(const GuestRam& ram) {
  std::size_t resident = 0;
  for (const auto& region : ram.view().regions()) {
    std::vector<unsigned char> pages(region.host.size() / kPageBytes);
    ::mincore(region.host.data(), region.host.size(), pages.data());
    for (const unsigned char page : pages)
      resident += page & 1U;
  }
  return resident;
}

TEST(GuestRam, SmallGuestsHaveOneRegion) {
  const GuestRam ram(16 * kMiB, HugePages::never);
  ASSERT_EQ(ram.view().regions().size(), 1U);
  EXPECT_EQ(ram.view().regions()[0].guest_address, 0U);
  EXPECT_NE(ram.view().translate(16 * kMiB - 1, 1), nullptr);
  EXPECT_EQ(ram.view().translate(16 * kMiB - 1, 2), nullptr);
  EXPECT_EQ(ram.view().translate(16 * kMiB, 1), nullptr);
  EXPECT_EQ(ram.view().translate(0, 0), nullptr);
  EXPECT_EQ(ram.view().translate(1, ~0ULL), nullptr);
}

TEST(GuestRam, LargeGuestsContinueAboveTheHole) {
  const GuestRam ram(4 * kGiB, HugePages::never);
  ASSERT_EQ(ram.view().regions().size(), 2U);
  EXPECT_EQ(ram.view().regions()[0].host.size(), 3 * kGiB);
  EXPECT_EQ(ram.view().regions()[1].guest_address, 4 * kGiB);
  EXPECT_EQ(ram.view().regions()[1].host.size(), kGiB);
  EXPECT_EQ(ram.view().translate(3 * kGiB, 1), nullptr);
  EXPECT_EQ(ram.view().translate(3 * kGiB - 4, 8), nullptr) << "across the edge";
  EXPECT_NE(ram.view().translate(5 * kGiB - 8, 8), nullptr);
}

TEST(GuestRam, MemoryIsTouchedLazilyAndGivenBack) {
  GuestRam ram(16 * kMiB, HugePages::never);
  EXPECT_EQ(resident_pages(ram), 0U);
  ram.prefault(8 * kPageBytes);
  EXPECT_EQ(resident_pages(ram), 8U);
  *ram.view().translate(kMiB, 1) = std::byte{7};
  ram.discard();
  EXPECT_EQ(resident_pages(ram), 0U);
  EXPECT_EQ(*ram.view().translate(kMiB, 1), std::byte{0});
}

TEST(GuestRam, HugePagesAreOnlyAWish) {
  const GuestRam ram(4 * kMiB, HugePages::if_available);
  EXPECT_EQ(ram.size(), 4 * kMiB);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ram.view().translate(0, 1)) % (2 * kMiB), 0U);
}

TEST(GuestRam, LargeGuestsMayBeAnonymous) {
  GuestRam ram(128 * kMiB, HugePages::if_available);
  std::byte* const word = ram.view().translate(100 * kMiB, 8);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(ram.view().translate(0, 1)) % (2 * kMiB), 0U);
  EXPECT_EQ(*word, std::byte{0});
  *word = std::byte{7};
  ram.prefault(4 * kMiB);
  EXPECT_EQ(*word, std::byte{7});
  ram.discard();
  EXPECT_EQ(*word, std::byte{0});
  EXPECT_TRUE(ram.uses_huge_pages() || ram.fd() < 0);
}

TEST(GuestRam, OddSizesAreRejected) {
  EXPECT_THROW(GuestRam(0, HugePages::never), std::runtime_error);
  EXPECT_THROW(GuestRam(3 * kMiB, HugePages::never), std::runtime_error);
  EXPECT_THROW(GuestRam(~0ULL, HugePages::never), std::runtime_error);
  EXPECT_THROW(GuestRam(~0ULL & ~(2 * kMiB - 1), HugePages::never), std::runtime_error);
}

}  // namespace
}  // namespace patchbay::vmm
