// Offload metadata that contradict their frame in every way, and frames that contradict themselves: whatever
// passes is_valid() must come out as complete frames that hold the payload once, in order, with right
// checksums.
//
// Input: 12 bytes of metadata, 2 of tail shape, 2 of extra length, then the start of the frame.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "vswitch/offload/completion.h"

namespace {

using namespace patchbay::vswitch;

void require(bool condition) {
  if (!condition) std::abort();
}

std::uint32_t plain_sum(const std::vector<std::byte>& bytes, std::size_t from, std::size_t size,
                        std::uint32_t sum) {
  for (std::size_t i = 0; i < size; ++i) {
    sum += std::to_integer<std::uint32_t>(bytes[from + i]) << (i % 2 == 0 ? 8 : 0);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum;
}

std::vector<std::byte> flatten(const FrameView& frame) {
  const auto header = frame.header_bytes();
  std::vector<std::byte> result(header.begin(), header.end());
  for (const Piece& piece : frame.tail)
    result.insert(result.end(), piece.begin(), piece.end());
  require(result.size() == frame.length);
  return result;
}

void check_segment(const std::vector<std::byte>& segment, const offload::SegmentationPlan& plan) {
  const std::size_t length = segment.size() - plan.transport;
  std::uint32_t sum = plan.udp ? 17 : 6;
  sum += static_cast<std::uint32_t>(length);
  sum = plan.ipv6 ? plain_sum(segment, plan.network + 8U, 32, sum)
                  : plain_sum(segment, plan.network + 12U, 8, sum);
  require(plain_sum(segment, plan.transport, length, sum) == 0xFFFF);
  if (!plan.ipv6)
    require(plain_sum(segment, plan.network, std::size_t{plan.transport} - plan.network, 0) == 0xFFFF);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMetadata = 12;
  if (size < kMetadata + 5) return 0;
  Offload offload;
  offload.flags = data[0] & (Offload::kNeedsChecksum | Offload::kDataValid);
  offload.gso_type = data[1];
  std::memcpy(&offload.header_length, data + 2, 2);
  std::memcpy(&offload.gso_size, data + 4, 2);
  std::memcpy(&offload.checksum_start, data + 6, 2);
  std::memcpy(&offload.checksum_offset, data + 8, 2);
  const std::size_t piece = 1200 + data[kMetadata] * 16U;
  std::uint16_t extra = 0;
  std::memcpy(&extra, data + kMetadata + 2, 2);
  std::vector<std::byte> bytes(size - kMetadata - 4);
  std::memcpy(bytes.data(), data + kMetadata + 4, bytes.size());
  for (std::size_t i = 0; i < extra && bytes.size() < kMaxFrameBytes; ++i)
    bytes.push_back(static_cast<std::byte>(i * 31 + i / 256));
  if (bytes.size() > kMaxFrameBytes) bytes.resize(kMaxFrameBytes);

  static const auto pulled = std::make_unique<Burst>();
  static const auto scratch = std::make_unique<Burst>();
  pulled->clear();
  FrameView& view = pulled->next();
  view.length = static_cast<std::uint32_t>(bytes.size());
  view.offload = offload;
  const std::span<const std::byte> all(bytes);
  const std::size_t in_header = std::min(all.size(), kHeaderBytes);
  std::memcpy(view.header.data(), all.data(), in_header);
  std::size_t pieces = 0;
  for (std::size_t at = in_header; at < all.size(); at += piece)
    pulled->next_pieces()[pieces++] = all.subspan(at, std::min(piece, all.size() - at));
  pulled->commit(pieces);
  if (!offload::is_valid(view)) return 0;

  const std::uint32_t expected = offload::wire_frames(view);
  const auto plan = offload.gso_type != 0 ? offload::plan_segmentation(view) : std::nullopt;
  const std::uint32_t skipped = plan ? data[10] % (expected + 1) : 0;
  const std::array<const FrameView*, 1> list{&view};
  offload::Completion completion(list, OffloadSet{}, *pulled, *scratch, skipped);
  std::vector<std::byte> payload;
  std::uint32_t count = 0;
  for (auto batch = completion.next(); !batch.empty(); batch = completion.next()) {
    require(batch.size() <= kBurstFrames);
    require(skipped + count + batch.size() + completion.frames_to_come() == expected);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      require((batch[i]->offload.flags & Offload::kNeedsChecksum) == 0 && batch[i]->offload.gso_type == 0);
      require(completion.origin(i).segment == skipped + count);
      const auto segment = flatten(*batch[i]);
      if (plan) {
        check_segment(segment, *plan);
        payload.insert(payload.end(), segment.begin() + plan->header_bytes, segment.end());
      } else {
        require(segment.size() == bytes.size());
      }
      ++count;
    }
  }
  require(skipped + count == expected);
  if (plan) {
    const std::size_t from =
        std::min<std::size_t>(bytes.size(), plan->header_bytes + std::size_t{skipped} * plan->segment_bytes);
    require(payload ==
            std::vector<std::byte>(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end()));
  }
  return 0;
}
