// The formats of virtio-blk (Virtio 1.2, 5.2.4 and 5.2.6) and the reading of a request out of a descriptor
// chain.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "devices/virtio/features.h"
#include "devices/virtio/ring.h"

namespace patchbay::devices::block {

inline constexpr virtio::FeatureSet kFeatureSegmentMax = 1ULL << 2;    // VIRTIO_BLK_F_SEG_MAX
inline constexpr virtio::FeatureSet kFeatureReadOnly = 1ULL << 5;      // VIRTIO_BLK_F_RO
inline constexpr virtio::FeatureSet kFeatureBlockSize = 1ULL << 6;     // VIRTIO_BLK_F_BLK_SIZE
inline constexpr virtio::FeatureSet kFeatureFlush = 1ULL << 9;         // VIRTIO_BLK_F_FLUSH
inline constexpr virtio::FeatureSet kFeatureTopology = 1ULL << 10;     // VIRTIO_BLK_F_TOPOLOGY
inline constexpr virtio::FeatureSet kFeatureDiscard = 1ULL << 13;      // VIRTIO_BLK_F_DISCARD
inline constexpr virtio::FeatureSet kFeatureWriteZeroes = 1ULL << 14;  // VIRTIO_BLK_F_WRITE_ZEROES

enum class RequestType : std::uint32_t {
  read = 0,           // VIRTIO_BLK_T_IN
  write = 1,          // VIRTIO_BLK_T_OUT
  flush = 4,          // VIRTIO_BLK_T_FLUSH
  get_id = 8,         // VIRTIO_BLK_T_GET_ID
  discard = 11,       // VIRTIO_BLK_T_DISCARD
  write_zeroes = 13,  // VIRTIO_BLK_T_WRITE_ZEROES
};

enum class RequestStatus : std::uint8_t { ok = 0, io_error = 1, unsupported = 2 };

/// What a request starts with, readable by the device.
struct RequestHeader {
  std::uint32_t type;
  std::uint32_t reserved;
  std::uint64_t sector;
};
static_assert(sizeof(RequestHeader) == 16);

/// struct virtio_blk_discard_write_zeroes
struct RangeElement {
  static constexpr std::uint32_t kUnmap = 1;
  std::uint64_t sector;
  std::uint32_t sectors;
  std::uint32_t flags;
};
static_assert(sizeof(RangeElement) == 16);

/// struct virtio_blk_config up to what is offered here.
struct BlockConfig {
  static constexpr std::size_t kBytes = 60;
  std::uint64_t capacity = 0;  // sectors
  std::uint32_t size_max = 0;
  std::uint32_t seg_max = 0;
  std::uint16_t cylinders = 0;
  std::uint8_t heads = 0;
  std::uint8_t track_sectors = 0;
  std::uint32_t block_size = 0;
  std::uint8_t physical_block_exponent = 0;
  std::uint8_t alignment_offset = 0;
  std::uint16_t min_io_size = 0;  // logical blocks, like the next
  std::uint32_t optimal_io_size = 0;
  std::uint8_t writeback = 0;
  std::uint8_t unused0 = 0;
  std::uint16_t queues = 0;
  std::uint32_t max_discard_sectors = 0;
  std::uint32_t max_discard_segments = 0;
  std::uint32_t discard_alignment = 0;  // sectors
  std::uint32_t max_write_zeroes_sectors = 0;
  std::uint32_t max_write_zeroes_segments = 0;
  std::uint8_t write_zeroes_may_unmap = 0;
  std::array<std::uint8_t, 3> unused1{};
};
static_assert(offsetof(BlockConfig, block_size) == 20 && offsetof(BlockConfig, writeback) == 32 &&
              offsetof(BlockConfig, max_discard_sectors) == 36 &&
              offsetof(BlockConfig, write_zeroes_may_unmap) == 56);

/// A request as it lies in a chain (5.2.6; 2.7.4.2: how it is cut into descriptors means nothing).
struct ParsedRequest {
  RequestHeader header{};
  std::span<iovec> data;  // between header and status; in the caller's array
  std::uint64_t data_bytes = 0;
  std::byte* status = nullptr;  // the last writable byte
};

/// Takes a chain apart: copies the header, refers to the data in place. False if there is no room for a
/// header or a status. `storage` has room for all of the chain's elements.
[[nodiscard]] bool parse_request(std::span<const virtio::Segment> segments, const virtio::Chain& chain,
                                 std::span<iovec> storage, ParsedRequest& request) noexcept;

}  // namespace patchbay::devices::block
