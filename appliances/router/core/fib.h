// The forwarding table: IPv4 longest prefix match.
//
// A tree bitmap (Eatherton, Varghese, Dittia: "Tree Bitmap", 2004). The first 8 bits index a table of root
// nodes; each node then decides 6 bits (at bit offsets 8, 14, 20, 26) with two 64-bit maps: one of the
// prefixes that end in it, one of its children. Children and values of a node lie side by side, in order, so
// that a node needs only two indices and a population count finds the slot. Nothing is pushed down to leaves:
// an update touches one path, and no second table is needed to undo it. A full Internet table takes about 20
// MB, a few routes a few hundred bytes above the 7 KiB of the root.
//
// Memory comes from one bounded region; running out leaves the table as it was.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "appliances/router/core/address.h"
#include "appliances/router/core/fib_pool.h"

namespace patchbay::router {

class Fib {
 public:
  using Value = std::uint32_t;
  /// What lookup() says when no prefix matches; not a valid value to insert.
  static constexpr Value kNoMatch = ~Value{0};

  /// `memory` holds nodes and values and must outlive the table; 8-byte aligned.
  explicit Fib(std::span<std::uint64_t> memory) noexcept;

  /// Adds a prefix or replaces its value; host bits are ignored. False if memory ran out (the table is
  /// unchanged).
  [[nodiscard]] bool insert(Ipv4Prefix prefix, Value value) noexcept;
  /// False if the prefix is not in the table.
  bool remove(Ipv4Prefix prefix) noexcept;
  /// The value of exactly this prefix.
  [[nodiscard]] std::optional<Value> find(Ipv4Prefix prefix) const noexcept;
  void clear() noexcept;

  /// Number of prefixes.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// Bytes of the region in use.
  [[nodiscard]] std::size_t memory_used() const noexcept {
    return pool_.units_in_use() * sizeof(std::uint64_t);
  }

  /// The value of the longest prefix that contains `address`, or kNoMatch.
  [[nodiscard]] Value lookup(Ipv4Address address) const noexcept;
  /// The same for many addresses, with the memory accesses overlapped. Sizes are equal.
  void lookup(std::span<const Ipv4Address> addresses, std::span<Value> values) const noexcept;

 private:
  static constexpr unsigned kRootBits = 8;
  static constexpr unsigned kStride = 6;
  static constexpr unsigned kLastOffset = 26;  // the node whose children are /32 values

  /// Prefixes of relative length l and relative bits b have bit (1 << l | b) of `prefixes`: a longer prefix
  /// has a higher bit. Bit c of `children` is the child for the next six bits c; in the last nodes, the /32
  /// prefix.
  struct Node {
    std::uint64_t prefixes = 0;
    std::uint64_t children = 0;
    std::uint32_t child_index = 0;  // of an array of nodes (of values in the last nodes) in the pool
    std::uint32_t value_index = 0;  // of an array of values in the pool

    [[nodiscard]] bool empty() const noexcept { return (prefixes | children) == 0; }
  };
  static_assert(sizeof(Node) == 24);

  /// An array of a node, as the map that says which slots exist and the index of its storage.
  struct Slots {
    std::uint64_t& map;
    std::uint32_t& index;
    std::size_t element_bytes;
  };

  [[nodiscard]] Node* nodes_at(std::uint32_t index) const noexcept {
    return reinterpret_cast<Node*>(pool_.at(index));
  }
  [[nodiscard]] Value* values_at(std::uint32_t index) const noexcept {
    return reinterpret_cast<Value*>(pool_.at(index));
  }
  /// Opens or closes the slot `bit`; the bytes of a new slot are zero. Only opening can fail.
  [[nodiscard]] bool open_slot(Slots slots, unsigned bit) noexcept;
  void close_slot(Slots slots, unsigned bit) noexcept;
  [[nodiscard]] bool set_value(std::uint64_t& map, std::uint32_t& index, unsigned bit, Value value) noexcept;
  [[nodiscard]] bool insert_below(Node& node, unsigned offset, Ipv4Prefix prefix, Value value) noexcept;
  bool remove_below(Node& node, unsigned offset, Ipv4Prefix prefix) noexcept;
  void spread_short_prefixes() noexcept;

  std::array<Node, 1U << kRootBits> root_{};
  std::array<Value, 1U << kRootBits> root_match_{};      // longest prefix of up to 7 bits for each root slot
  std::array<Value, 1U << kRootBits> short_prefixes_{};  // those prefixes, at (1 << length | bits)
  FibPool pool_;
  std::size_t size_ = 0;
};

}  // namespace patchbay::router
