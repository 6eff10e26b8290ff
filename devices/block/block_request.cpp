#include "devices/block/block_request.h"

#include <algorithm>
#include <cstring>

namespace patchbay::devices::block {

bool parse_request(std::span<const virtio::Segment> segments, const virtio::Chain& chain,
                   std::span<iovec> storage, ParsedRequest& request) noexcept {
  if (chain.readable_bytes < sizeof(RequestHeader) || chain.writable_bytes < 1) return false;
  std::size_t used = 0;
  std::uint64_t bytes = 0;
  const auto refer = [&](std::byte* data, std::uint32_t length) {
    if (length == 0) return;
    storage[used++] = {data, length};
    bytes += length;
  };

  std::array<std::byte, sizeof(RequestHeader)> header;
  std::size_t copied = 0;
  for (const virtio::Segment& segment : segments.first(chain.readable)) {
    const auto portion =
        std::min<std::uint32_t>(segment.length, static_cast<std::uint32_t>(header.size() - copied));
    std::memcpy(header.data() + copied, segment.data, portion);
    copied += portion;
    refer(segment.data + portion, segment.length - portion);
  }
  std::memcpy(&request.header, header.data(), sizeof request.header);

  // A request that reads from the disk has its data behind the readable part, every other one in it.
  const auto type = static_cast<RequestType>(request.header.type);
  if (type == RequestType::read || type == RequestType::get_id) used = bytes = 0;
  const std::span<const virtio::Segment> writable = segments.subspan(chain.readable, chain.writable);
  const virtio::Segment& last = writable.back();
  request.status = last.data + last.length - 1;
  if (type == RequestType::read || type == RequestType::get_id) {
    for (const virtio::Segment& segment : writable.first(writable.size() - 1))
      refer(segment.data, segment.length);
    refer(last.data, last.length - 1);
  }
  request.data = storage.first(used);
  request.data_bytes = bytes;
  return true;
}

}  // namespace patchbay::devices::block
