// Frame sizes of a benchmark as users name them: "64,512,1518,imix".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace patchbay::tools::bench {

/// Bytes with FCS, as RFC 2544 counts them. Smaller ones have no room for a stream's tag.
inline constexpr std::size_t kMinFrameSize = 64;
inline constexpr std::size_t kMaxFrameSize = 9518;

/// Frame sizes that a stream takes in turn.
struct FrameMix {
  std::string name;  // "64", "imix", "64x7+1518"
  std::vector<std::size_t> sizes;

  [[nodiscard]] double mean_size() const noexcept;
  friend bool operator==(const FrameMix&, const FrameMix&) = default;
};

struct FrameMixError {
  std::string message;  // what is wrong, and what would be right
};

/// Sizes separated by commas; each a number of bytes, "imix" (7 x 64, 4 x 570, 1 x 1518), "rfc2544" (64 128
/// 256 512 1024 1280 1518), or a mix of your own, such as 64x3+1518.
[[nodiscard]] std::variant<std::vector<FrameMix>, FrameMixError> parse_frame_sizes(std::string_view text);

}  // namespace patchbay::tools::bench
