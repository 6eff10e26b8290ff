// The steps through the status register: exactly those of the table.
#include "devices/virtio/status.h"

#include <gtest/gtest.h>

namespace patchbay::devices::virtio {
namespace {

TEST(StatusSteps, AreTheOnesOfTheInitialisationSequence) {
  EXPECT_TRUE(is_legal_step(0, 1));
  EXPECT_TRUE(is_legal_step(1, 3));
  EXPECT_TRUE(is_legal_step(3, 11));
  EXPECT_TRUE(is_legal_step(11, 15));
}

TEST(StatusSteps, LetADriverGiveUpAnywhere) {
  for (const int status : {0, 1, 3, 11, 15})
    EXPECT_TRUE(is_legal_step(static_cast<Status>(status), static_cast<Status>(status | kFailed)));
}

TEST(StatusSteps, ForbidEverythingElse) {
  unsigned legal = 0;
  for (unsigned from = 0; from < 256; ++from) {
    for (unsigned to = 0; to < 256; ++to) {
      if (!is_legal_step(static_cast<Status>(from), static_cast<Status>(to))) continue;
      ++legal;
      EXPECT_EQ(from & ~to, 0U) << "no bit is ever cleared: " << from << " -> " << to;
      EXPECT_FALSE((to & kDriverOk) != 0 && (to & kFeaturesOk) == 0)
          << "FEATURES_OK skipped: " << from << " -> " << to;
    }
  }
  EXPECT_EQ(legal, kStatusSteps.size());
}

}  // namespace
}  // namespace patchbay::devices::virtio
