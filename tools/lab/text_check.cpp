#include "tools/lab/text_check.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

namespace patchbay::tools {
namespace {

std::uint32_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// Length of the UTF-8 sequence at `i`, 0 if there is none: no overlong forms, surrogates, or values over
// 10FFFF.
std::size_t sequence_length(std::string_view text, std::size_t i) {
  const std::uint32_t lead = byte_at(text, i);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xC2 && lead <= 0xDF   ? 2
                             : (lead & 0xF0U) == 0xE0       ? 3
                             : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                            : 0;
  if (length == 0 || i + length > text.size()) return 0;
  std::uint32_t value = lead & (0x7FU >> length);
  for (std::size_t k = 1; k < length; ++k) {
    const std::uint32_t next = byte_at(text, i + k);
    if ((next & 0xC0U) != 0x80) return 0;
    value = value << 6U | (next & 0x3FU);
  }
  if (length == 3 && (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF))) return 0;
  if (length == 4 && (value < 0x10000 || value > 0x10FFFF)) return 0;
  return length;
}

}  // namespace

std::optional<UnreadableText> find_unreadable(std::string_view text) {
  Position at{1, 1};
  for (std::size_t i = 0; i < text.size();) {
    const std::uint32_t byte = byte_at(text, i);
    const std::size_t length = sequence_length(text, i);
    if (length == 0) {
      return UnreadableText{at, fmt::format("byte 0x{:02X} is not UTF-8 text", byte),
                            "save the file as UTF-8"};
    }
    const bool control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
    if (control) {
      return UnreadableText{at,
                            byte == 0 ? "the file holds a NUL byte"
                                      : fmt::format("the file holds the control character 0x{:02X}", byte),
                            "it must be plain text"};
    }
    if (byte == '\n') {
      at = {at.line + 1, 1};
    } else {
      at.column += length;
    }
    i += length;
  }
  return std::nullopt;
}

}  // namespace patchbay::tools
