#include "tools/capture/block_stream.h"

#include <cstdint>
#include <cstring>
#include <string>

namespace patchbay::tools {

using vswitch::capture::BlockHeader;
using vswitch::capture::BlockType;
using vswitch::capture::kMinBlockBytes;

std::span<std::byte> BlockStream::prepare(std::size_t bytes) {
  if (begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < end_ + bytes) buffer_.resize(end_ + bytes);
  return std::span(buffer_).subspan(end_);
}

BlockStream::Block BlockStream::next() {
  const std::span<const std::byte> waiting = std::span(buffer_).subspan(begin_, end_ - begin_);
  if (waiting.size() < sizeof(BlockHeader)) return {};
  const BlockHeader header = vswitch::capture::read_block_header(waiting);
  if (!in_section_ && header.type != BlockType::section_header) {
    throw StreamError(
        "the capture stream does not start as pcapng: the engine speaks another protocol; use the "
        "program and the engine of one build");
  }
  if (header.length < kMinBlockBytes || header.length % 4 != 0 || header.length > kMaxBlockBytes) {
    throw StreamError("the capture stream is damaged: a block claims " + std::to_string(header.length) +
                      " bytes; start the capture again");
  }
  if (waiting.size() < header.length) return {};
  std::uint32_t trailer = 0;
  std::memcpy(&trailer, waiting.data() + header.length - sizeof trailer, sizeof trailer);
  if (trailer != header.length) {
    throw StreamError("the capture stream is damaged: a block begins with length " +
                      std::to_string(header.length) + " and ends with " + std::to_string(trailer) +
                      "; start the capture again");
  }
  in_section_ = true;
  begin_ += header.length;
  return {header.type, waiting.first(header.length)};
}

}  // namespace patchbay::tools
