#include "appliances/router/core/fib.h"

#include <cstring>

namespace patchbay::router {
namespace {

/// For each six bits, the bits (1 << l | b) of the prefixes of 0 to 5 bits that contain them.
constexpr std::array<std::uint64_t, 64> make_paths() noexcept {
  std::array<std::uint64_t, 64> paths{};
  for (unsigned chunk = 0; chunk < 64; ++chunk) {
    for (unsigned length = 0; length < 6; ++length) {
      paths[chunk] |= std::uint64_t{1} << ((1U << length) | (chunk >> (6 - length)));
    }
  }
  return paths;
}
constexpr std::array<std::uint64_t, 64> kPaths = make_paths();

constexpr std::uint64_t bit_mask(unsigned bit) noexcept {
  return std::uint64_t{1} << bit;
}

/// Slots in front of `bit`.
unsigned rank(std::uint64_t map, unsigned bit) noexcept {
  return static_cast<unsigned>(std::popcount(map & (bit_mask(bit) - 1)));
}

constexpr std::size_t units_for(std::size_t bytes) noexcept {
  return (bytes + 7) / 8;
}

/// Bits [offset, offset + count) of the address, counted from the most significant.
unsigned bits_of(Ipv4Address address, unsigned offset, unsigned count) noexcept {
  return count == 0 ? 0 : (address.value << offset) >> (32 - count);
}

}  // namespace

Fib::Fib(std::span<std::uint64_t> memory) noexcept : pool_(memory) {
  clear();
}

void Fib::clear() noexcept {
  root_.fill(Node{});
  root_match_.fill(kNoMatch);
  short_prefixes_.fill(kNoMatch);
  pool_.clear();
  size_ = 0;
}

bool Fib::open_slot(Slots slots, unsigned bit) noexcept {
  const auto count = static_cast<std::size_t>(std::popcount(slots.map));
  const std::size_t before = rank(slots.map, bit) * slots.element_bytes;
  const std::size_t bytes = count * slots.element_bytes;
  const std::size_t units = units_for(bytes);
  const std::size_t wanted = units_for(bytes + slots.element_bytes);
  std::uint32_t index = slots.index;
  if (count == 0 || FibPool::rounded(units) < wanted) {
    index = pool_.allocate(wanted);
    if (index == 0) return false;
  }
  auto* to = reinterpret_cast<std::byte*>(pool_.at(index));
  if (count != 0) {
    const auto* from = reinterpret_cast<const std::byte*>(pool_.at(slots.index));
    std::memmove(to + before + slots.element_bytes, from + before, bytes - before);
    std::memmove(to, from, before);
    if (index != slots.index) pool_.release(slots.index, units);
  }
  std::memset(to + before, 0, slots.element_bytes);
  slots.index = index;
  slots.map |= bit_mask(bit);
  return true;
}

void Fib::close_slot(Slots slots, unsigned bit) noexcept {
  const auto count = static_cast<std::size_t>(std::popcount(slots.map));
  const std::size_t before = rank(slots.map, bit) * slots.element_bytes;
  const std::size_t bytes = count * slots.element_bytes;
  auto* at = reinterpret_cast<std::byte*>(pool_.at(slots.index));
  std::memmove(at + before, at + before + slots.element_bytes, bytes - before - slots.element_bytes);
  if (count == 1) {
    pool_.release(slots.index, units_for(bytes));
    slots.index = 0;
  } else {
    pool_.shrink(slots.index, units_for(bytes), units_for(bytes - slots.element_bytes));
  }
  slots.map &= ~bit_mask(bit);
}

bool Fib::set_value(std::uint64_t& map, std::uint32_t& index, unsigned bit, Value value) noexcept {
  if ((map & bit_mask(bit)) == 0) {
    if (!open_slot({map, index, sizeof(Value)}, bit)) return false;
    ++size_;
  }
  values_at(index)[rank(map, bit)] = value;
  return true;
}

bool Fib::insert(Ipv4Prefix prefix, Value value) noexcept {
  prefix = prefix.network();
  if (prefix.length >= kRootBits) {
    return insert_below(root_[bits_of(prefix.address, 0, kRootBits)], kRootBits, prefix, value);
  }
  Value& slot = short_prefixes_[1U << prefix.length | bits_of(prefix.address, 0, prefix.length)];
  if (slot == kNoMatch) ++size_;
  slot = value;
  spread_short_prefixes();
  return true;
}

bool Fib::insert_below(Node& node, unsigned offset, Ipv4Prefix prefix, Value value) noexcept {
  if (prefix.length < offset + kStride) {
    const unsigned length = prefix.length - offset;
    const unsigned bit = 1U << length | bits_of(prefix.address, offset, length);
    return set_value(node.prefixes, node.value_index, bit, value);
  }
  const unsigned chunk = bits_of(prefix.address, offset, kStride);
  if (offset == kLastOffset) return set_value(node.children, node.child_index, chunk, value);
  const Slots slots{node.children, node.child_index, sizeof(Node)};
  if ((node.children & bit_mask(chunk)) == 0 && !open_slot(slots, chunk)) return false;
  Node& child = nodes_at(node.child_index)[rank(node.children, chunk)];
  const bool inserted = insert_below(child, offset + kStride, prefix, value);
  if (!inserted && child.empty()) close_slot(slots, chunk);
  return inserted;
}

bool Fib::remove(Ipv4Prefix prefix) noexcept {
  prefix = prefix.network();
  if (prefix.length >= kRootBits) {
    return remove_below(root_[bits_of(prefix.address, 0, kRootBits)], kRootBits, prefix);
  }
  Value& slot = short_prefixes_[1U << prefix.length | bits_of(prefix.address, 0, prefix.length)];
  if (slot == kNoMatch) return false;
  slot = kNoMatch;
  --size_;
  spread_short_prefixes();
  return true;
}

bool Fib::remove_below(Node& node, unsigned offset, Ipv4Prefix prefix) noexcept {
  if (prefix.length < offset + kStride) {
    const unsigned length = prefix.length - offset;
    const unsigned bit = 1U << length | bits_of(prefix.address, offset, length);
    if ((node.prefixes & bit_mask(bit)) == 0) return false;
    close_slot({node.prefixes, node.value_index, sizeof(Value)}, bit);
    --size_;
    return true;
  }
  const unsigned chunk = bits_of(prefix.address, offset, kStride);
  if ((node.children & bit_mask(chunk)) == 0) return false;
  if (offset == kLastOffset) {
    close_slot({node.children, node.child_index, sizeof(Value)}, chunk);
    --size_;
    return true;
  }
  Node& child = nodes_at(node.child_index)[rank(node.children, chunk)];
  if (!remove_below(child, offset + kStride, prefix)) return false;
  if (child.empty()) close_slot({node.children, node.child_index, sizeof(Node)}, chunk);
  return true;
}

std::optional<Fib::Value> Fib::find(Ipv4Prefix prefix) const noexcept {
  prefix = prefix.network();
  if (prefix.length < kRootBits) {
    const Value value = short_prefixes_[1U << prefix.length | bits_of(prefix.address, 0, prefix.length)];
    return value == kNoMatch ? std::nullopt : std::optional(value);
  }
  const Node* node = &root_[bits_of(prefix.address, 0, kRootBits)];
  for (unsigned offset = kRootBits;; offset += kStride) {
    if (prefix.length < offset + kStride) {
      const unsigned length = prefix.length - offset;
      const unsigned bit = 1U << length | bits_of(prefix.address, offset, length);
      if ((node->prefixes & bit_mask(bit)) == 0) return std::nullopt;
      return values_at(node->value_index)[rank(node->prefixes, bit)];
    }
    const unsigned chunk = bits_of(prefix.address, offset, kStride);
    if ((node->children & bit_mask(chunk)) == 0) return std::nullopt;
    if (offset == kLastOffset) return values_at(node->child_index)[rank(node->children, chunk)];
    node = nodes_at(node->child_index) + rank(node->children, chunk);
  }
}

void Fib::spread_short_prefixes() noexcept {
  for (unsigned slot = 0; slot < root_match_.size(); ++slot) {
    unsigned at = (1U << kRootBits | slot) >> 1;
    while (at > 1 && short_prefixes_[at] == kNoMatch)
      at >>= 1;
    root_match_[slot] = short_prefixes_[at];
  }
}

Fib::Value Fib::lookup(Ipv4Address address) const noexcept {
  const unsigned slot = address.value >> (32 - kRootBits);
  const Node* node = &root_[slot];
  const Value* best = &root_match_[slot];
  for (unsigned shift = 32 - kRootBits - kStride;; shift -= kStride) {
    const unsigned chunk = (address.value >> shift) & 63U;
    const std::uint64_t matches = node->prefixes & kPaths[chunk];
    if (matches != 0) {
      const auto longest = static_cast<unsigned>(std::bit_width(matches)) - 1;
      best = values_at(node->value_index) + rank(node->prefixes, longest);
    }
    if ((node->children & bit_mask(chunk)) == 0) return *best;
    if (shift == 0) return values_at(node->child_index)[rank(node->children, chunk)];
    node = nodes_at(node->child_index) + rank(node->children, chunk);
  }
}

void Fib::lookup(std::span<const Ipv4Address> addresses, std::span<Value> values) const noexcept {
  // Level by level over a group, so that the loads of one level do not wait for each other.
  constexpr std::size_t kGroup = 16;
  std::array<const Node*, kGroup> nodes;
  std::array<const Value*, kGroup> best;
  for (std::size_t first = 0; first < addresses.size(); first += kGroup) {
    const std::size_t count = std::min(kGroup, addresses.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned slot = addresses[first + i].value >> (32 - kRootBits);
      nodes[i] = &root_[slot];
      best[i] = &root_match_[slot];
    }
    bool more = true;
    for (unsigned shift = 32 - kRootBits - kStride; more; shift -= kStride) {
      more = false;
      for (std::size_t i = 0; i < count; ++i) {
        const Node* node = nodes[i];
        if (node == nullptr) continue;
        const unsigned chunk = (addresses[first + i].value >> shift) & 63U;
        const std::uint64_t matches = node->prefixes & kPaths[chunk];
        if (matches != 0) {
          const auto longest = static_cast<unsigned>(std::bit_width(matches)) - 1;
          best[i] = values_at(node->value_index) + rank(node->prefixes, longest);
        }
        nodes[i] = nullptr;
        if ((node->children & bit_mask(chunk)) == 0) {
          __builtin_prefetch(best[i]);
        } else if (shift == 0) {
          best[i] = values_at(node->child_index) + rank(node->children, chunk);
          __builtin_prefetch(best[i]);
        } else {
          nodes[i] = nodes_at(node->child_index) + rank(node->children, chunk);
          __builtin_prefetch(nodes[i]);
          more = true;
        }
      }
    }
    for (std::size_t i = 0; i < count; ++i)
      values[first + i] = *best[i];
  }
}

}  // namespace patchbay::router
