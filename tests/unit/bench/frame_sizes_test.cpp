#include "tools/bench/frame_sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace patchbay::tools::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<FrameMix> mixes(std::string_view text) {
  auto result = parse_frame_sizes(text);
  if (const auto* error = std::get_if<FrameMixError>(&result)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<std::vector<FrameMix>>(result);
}

std::string error_of(std::string_view text) {
  const auto result = parse_frame_sizes(text);
  const auto* const error = std::get_if<FrameMixError>(&result);
  return error == nullptr ? "" : error->message;
}

TEST(FrameSizesTest, NumbersAndNamedSets) {
  EXPECT_THAT(mixes("64,1518"), ElementsAre(FrameMix{"64", {64}}, FrameMix{"1518", {1518}}));
  EXPECT_EQ(mixes("rfc2544").size(), 7u);
  const auto imix = mixes("imix");
  ASSERT_EQ(imix.size(), 1u);
  EXPECT_THAT(imix[0].sizes, ElementsAre(64, 570, 64, 64, 570, 64, 1518, 570, 64, 64, 570, 64));
  EXPECT_NEAR(imix[0].mean_size(), 353.8, 0.1);
  EXPECT_THAT(mixes("64x2+128")[0].sizes, ElementsAre(64, 128, 64));
}

TEST(FrameSizesTest, SaysWhatIsWrong) {
  EXPECT_THAT(error_of(""), HasSubstr("no frame size"));
  EXPECT_THAT(error_of("64,,128"), HasSubstr("no frame size"));
  EXPECT_THAT(error_of("64;128"), HasSubstr("'64;128' is no frame size"));
  EXPECT_THAT(error_of("63"), HasSubstr("outside 64 to 9518"));
  EXPECT_THAT(error_of("9519"), HasSubstr("outside"));
  EXPECT_THAT(error_of("64x0"), HasSubstr("no frame size"));
  EXPECT_THAT(error_of("64x1000"), HasSubstr("more than 64 frames"));
  EXPECT_THAT(error_of("64,128,64"), HasSubstr("named twice"));
  EXPECT_THAT(error_of("99999999999999999999"), HasSubstr("no frame size"));
}

}  // namespace
}  // namespace patchbay::tools::bench
