// Re-assembles the blocks of a pcapng stream that arrives in pieces of any size.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include "vswitch/capture/pcapng.h"

namespace patchbay::tools {

/// Bytes that are no pcapng blocks of this machine's byte order.
class StreamError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class BlockStream {
 public:
  /// Longest block accepted: a 64 KiB frame with long comments is far below it.
  static constexpr std::size_t kMaxBlockBytes = 1 << 20;

  struct Block {
    vswitch::capture::BlockType type;
    std::span<const std::byte> bytes;  // all of it, lengths included
  };

  /// Room for at least `bytes` more; the caller fills a part and says how much with commit().
  [[nodiscard]] std::span<std::byte> prepare(std::size_t bytes);
  void commit(std::size_t bytes) noexcept { end_ += bytes; }

  /// The next whole block; `bytes` is empty if there is none yet. Valid until prepare(); blocks that follow
  /// each other without a prepare() between them lie one behind the other in memory. Throws StreamError.
  [[nodiscard]] Block next();

  /// Bytes of a block whose end has not arrived.
  [[nodiscard]] std::size_t partial_bytes() const noexcept { return end_ - begin_; }

 private:
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;  // start of the next block
  std::size_t end_ = 0;    // end of what has arrived
  bool in_section_ = false;
};

}  // namespace patchbay::tools
