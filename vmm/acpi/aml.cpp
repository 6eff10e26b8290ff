#include "vmm/acpi/aml.h"

#include <stdexcept>
#include <string>

namespace patchbay::vmm::aml {
namespace {

constexpr std::uint8_t kZeroOp = 0x00;
constexpr std::uint8_t kOneOp = 0x01;
constexpr std::uint8_t kNameOp = 0x08;
constexpr std::uint8_t kBytePrefix = 0x0A;
constexpr std::uint8_t kWordPrefix = 0x0B;
constexpr std::uint8_t kDWordPrefix = 0x0C;
constexpr std::uint8_t kStringPrefix = 0x0D;
constexpr std::uint8_t kQWordPrefix = 0x0E;
constexpr std::uint8_t kScopeOp = 0x10;
constexpr std::uint8_t kBufferOp = 0x11;
constexpr std::uint8_t kPackageOp = 0x12;
constexpr std::uint8_t kExtOpPrefix = 0x5B;
constexpr std::uint8_t kDeviceOp = 0x82;

void append(Bytes& to, const Bytes& bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}

Bytes little_endian(std::uint64_t value, unsigned bytes) {
  Bytes out;
  for (unsigned i = 0; i < bytes; ++i)
    out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
  return out;
}

/// PkgLength (20.2.4) in front of `contents`; it counts itself.
Bytes with_length(const Bytes& contents) {
  Bytes out;
  if (const std::size_t one = contents.size() + 1; one < 0x40) {
    out.push_back(static_cast<std::uint8_t>(one));
  } else {
    unsigned more = 1;
    while (contents.size() + 1 + more >= std::size_t{1} << (4 + 8 * more))
      ++more;
    if (more > 3) throw std::logic_error("an AML package is too long");
    const std::size_t length = contents.size() + 1 + more;
    out.push_back(static_cast<std::uint8_t>(more << 6 | (length & 0xF)));
    append(out, little_endian(length >> 4, more));
  }
  append(out, contents);
  return out;
}

Bytes block(std::initializer_list<std::uint8_t> opcode, std::string_view name, const Bytes& contents) {
  return concat({opcode, with_length(concat({name_string(name), contents}))});
}

constexpr std::uint8_t kMinAndMaxFixed = 0x0C;  // general flags of an address space descriptor

}  // namespace

Bytes concat(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const Bytes& part : parts)
    append(out, part);
  return out;
}

Bytes name_string(std::string_view name) {
  Bytes out;
  if (!name.empty() && name.front() == '\\') {
    out.push_back('\\');
    name.remove_prefix(1);
  }
  if (name.empty() || name.size() > 4 || (name.front() >= '0' && name.front() <= '9')) {
    throw std::logic_error("not an ACPI name: " + std::string(name));
  }
  for (const char c : name) {
    const bool valid = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!valid) throw std::logic_error("not an ACPI name: " + std::string(name));
    out.push_back(static_cast<std::uint8_t>(c));
  }
  out.insert(out.end(), 4 - name.size(), '_');
  return out;
}

Bytes integer(std::uint64_t value) {
  if (value == 0) return {kZeroOp};
  if (value == 1) return {kOneOp};
  if (value <= 0xFF) return {kBytePrefix, static_cast<std::uint8_t>(value)};
  if (value <= 0xFFFF) return concat({{kWordPrefix}, little_endian(value, 2)});
  if (value <= 0xFFFF'FFFF) return concat({{kDWordPrefix}, little_endian(value, 4)});
  return concat({{kQWordPrefix}, little_endian(value, 8)});
}

Bytes string(std::string_view text) {
  Bytes out{kStringPrefix};
  for (const char c : text)
    out.push_back(static_cast<std::uint8_t>(c));
  out.push_back(0);
  return out;
}

Bytes eisa_id(std::string_view id) {
  if (id.size() != 7) throw std::logic_error("not an EISA identifier: " + std::string(id));
  const auto letter = [&](std::size_t i) { return static_cast<std::uint32_t>(id[i] - 'A' + 1) & 0x1F; };
  const auto digit = [&](std::size_t i) {
    return static_cast<std::uint32_t>(id[i] <= '9' ? id[i] - '0' : id[i] - 'A' + 10) & 0xF;
  };
  const std::uint32_t value = letter(0) << 26 | letter(1) << 21 | letter(2) << 16 | digit(3) << 12 |
                              digit(4) << 8 | digit(5) << 4 | digit(6);
  return concat({{kDWordPrefix}, {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                                  static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)}});
}

Bytes buffer(const Bytes& contents) {
  return concat({{kBufferOp}, with_length(concat({integer(contents.size()), contents}))});
}

Bytes package(const std::vector<Bytes>& elements) {
  if (elements.size() > 0xFF) throw std::logic_error("an AML package has at most 255 elements");
  Bytes contents{static_cast<std::uint8_t>(elements.size())};
  for (const Bytes& element : elements)
    append(contents, element);
  return concat({{kPackageOp}, with_length(contents)});
}

Bytes named(std::string_view name, const Bytes& object) {
  return concat({{kNameOp}, name_string(name), object});
}
Bytes scope(std::string_view name, const Bytes& contents) {
  return block({kScopeOp}, name, contents);
}
Bytes device(std::string_view name, const Bytes& contents) {
  return block({kExtOpPrefix, kDeviceOp}, name, contents);
}

// --- resource descriptors
// ---------------------------------------------------------------------------------------------

Bytes io_ports(std::uint16_t start, std::uint8_t count) {
  return concat({{0x47, 1}, little_endian(start, 2), little_endian(start, 2), {1, count}});  // 16-bit decode
}

Bytes isa_irq(unsigned irq) {
  return concat({{0x22}, little_endian(std::uint64_t{1} << irq, 2)});  // edge-triggered, high, exclusive
}

Bytes fixed_memory(std::uint32_t start, std::uint32_t bytes) {
  return concat({{0x86, 9, 0, 0}, little_endian(start, 4), little_endian(bytes, 4)});  // read-only
}

Bytes bus_numbers(std::uint16_t first, std::uint16_t last) {
  return concat({{0x88, 13, 0, 2, kMinAndMaxFixed, 0}, little_endian(0, 2), little_endian(first, 2),
                 little_endian(last, 2), little_endian(0, 2), little_endian(last - first + 1U, 2)});
}

Bytes port_window(std::uint16_t start, std::uint16_t bytes) {
  constexpr std::uint8_t kEntireRange = 3;
  return concat({{0x88, 13, 0, 1, kMinAndMaxFixed, kEntireRange}, little_endian(0, 2), little_endian(start, 2),
                 little_endian(start + bytes - 1U, 2), little_endian(0, 2), little_endian(bytes, 2)});
}

Bytes memory_window(std::uint32_t start, std::uint32_t bytes) {
  constexpr std::uint8_t kReadWriteUncached = 1;
  return concat({{0x87, 23, 0, 0, kMinAndMaxFixed, kReadWriteUncached}, little_endian(0, 4),
                 little_endian(start, 4), little_endian(std::uint64_t{start} + bytes - 1, 4), little_endian(0, 4),
                 little_endian(bytes, 4)});
}

Bytes resources(std::initializer_list<Bytes> descriptors) {
  return buffer(concat({concat(descriptors), {0x79, 0}}));  // end tag, checksum not used
}

}  // namespace patchbay::vmm::aml
